// Every part is made with the state behind it, so that a state leads to those before it in the list, loops aside.
#include "model/text/schema/grammar_writer.h"

#include <algorithm>

namespace lapidary::model {
namespace {

using Op = Grammar::Op;

}  // namespace

Symbols symbols_of(std::string_view bytes) {
    Symbols out;
    for (const char c : bytes) out.push_back(static_cast<uint8_t>(c));
    return out;
}

uint32_t GrammarWriter::add(const Grammar::State& state) {
    grammar_.states.push_back(state);
    return static_cast<uint32_t>(grammar_.states.size() - 1);
}

uint32_t GrammarWriter::done() { return add({}); }

uint32_t GrammarWriter::symbol(uint16_t symbol, uint32_t next) {
    const auto at = static_cast<uint32_t>(grammar_.edges.size());
    grammar_.edges.push_back({symbol, symbol, next});
    return add({Op::bytes, 0, at, at + 1});
}

uint32_t GrammarWriter::literal(const Symbols& symbols, uint32_t next) {
    for (size_t i = symbols.size(); i-- > 0;) next = symbol(symbols[i], next);
    return next;
}

uint32_t GrammarWriter::one_of(std::vector<Symbols> literals, uint32_t next) {
    std::sort(literals.begin(), literals.end());
    literals.erase(std::unique(literals.begin(), literals.end()), literals.end());
    return shared(literals, 0, literals.size(), 0, next);
}

// Literals that agree in their first `depth` symbols.
uint32_t GrammarWriter::shared(const std::vector<Symbols>& sorted, size_t begin, size_t end, size_t depth, uint32_t next) {
    if (end - begin == 1) return literal({sorted[begin].begin() + static_cast<std::ptrdiff_t>(depth), sorted[begin].end()}, next);
    std::vector<uint32_t> ways;
    if (begin < end && sorted[begin].size() == depth) {
        ways.push_back(next);
        ++begin;
    }
    while (begin < end) {
        size_t group = begin;
        while (group < end && sorted[group][depth] == sorted[begin][depth]) ++group;
        size_t common = depth + 1;  // symbols that all of the group have; its first and last tell
        const Symbols &first = sorted[begin], &last = sorted[group - 1];
        while (common < std::min(first.size(), last.size()) && first[common] == last[common]) ++common;
        const uint32_t rest = shared(sorted, begin, group, common, next);
        ways.push_back(literal({first.begin() + static_cast<std::ptrdiff_t>(depth), first.begin() + static_cast<std::ptrdiff_t>(common)}, rest));
        begin = group;
    }
    return fork(std::move(ways));
}

uint32_t GrammarWriter::fork(std::vector<uint32_t> targets) {
    if (targets.size() == 1) return targets[0];
    const uint32_t at = place();
    set(at, std::move(targets));
    return at;
}

void GrammarWriter::set(uint32_t place, std::vector<uint32_t> targets) {
    Grammar::State& state = grammar_.states[place];
    state.a = static_cast<uint32_t>(grammar_.targets.size());
    grammar_.targets.insert(grammar_.targets.end(), targets.begin(), targets.end());
    state.b = static_cast<uint32_t>(grammar_.targets.size());
}

uint32_t GrammarWriter::text(TextRule rule, uint32_t next) {
    grammar_.texts.push_back(std::move(rule));
    return add({Op::text, 0, static_cast<uint32_t>(grammar_.texts.size() - 1), next});
}

uint32_t GrammarWriter::table(Dfa dfa) {
    grammar_.tables.push_back(std::move(dfa));
    return static_cast<uint32_t>(grammar_.tables.size() - 1);
}

uint32_t GrammarWriter::texts_of(const Dfa& dfa, uint32_t next) {
    if (dfa.empty()) return fork({});
    std::vector<uint32_t> places;
    for (size_t i = 0; i < dfa.states.size(); ++i) places.push_back(place());
    for (size_t i = 0; i < dfa.states.size(); ++i) {
        const Dfa::State& state = dfa.states[i];
        const auto begin = static_cast<uint32_t>(grammar_.edges.size());
        for (uint16_t byte = 0; byte < 256; ++byte) {
            const uint16_t to = state.next[byte];
            if (to == Dfa::kDead) continue;
            const bool goes_on = grammar_.edges.size() > begin && grammar_.edges.back().last + 1 == byte && grammar_.edges.back().next == places[to];
            if (goes_on)
                grammar_.edges.back().last = byte;
            else
                grammar_.edges.push_back({byte, byte, places[to]});
        }
        const uint32_t reads = add({Op::bytes, 0, begin, static_cast<uint32_t>(grammar_.edges.size())});
        set(places[i], state.accepts ? std::vector{reads, next} : std::vector{reads});
    }
    return places[0];
}

uint32_t GrammarWriter::rule(uint8_t levels) {
    grammar_.rules.push_back({0, levels});
    return static_cast<uint32_t>(grammar_.rules.size() - 1);
}

uint8_t GrammarWriter::levels_of(uint32_t rule) const {
    const uint8_t inside = grammar_.states[grammar_.rules[rule].start].levels;
    return inside == Grammar::kHopeless ? inside : static_cast<uint8_t>(std::min(inside + grammar_.rules[rule].levels, Grammar::kHopeless - 1));
}

uint8_t GrammarWriter::levels_at(const Grammar::State& state) const {
    const auto at = [&](uint32_t next) { return grammar_.states[next].levels; };
    uint8_t best = Grammar::kHopeless;
    switch (state.op) {
        case Op::bytes:
            for (uint32_t i = state.a; i < state.b; ++i) best = std::min(best, at(grammar_.edges[i].next));
            return best;
        case Op::fork:
            for (uint32_t i = state.a; i < state.b; ++i) best = std::min(best, at(grammar_.targets[i]));
            return best;
        case Op::call: return std::max(levels_of(state.a), at(state.b));
        case Op::gap: return at(state.a);
        case Op::text: {
            const TextRule& text = grammar_.texts[state.a];
            const bool any = text.table >= 0 ? !grammar_.tables[static_cast<size_t>(text.table)].empty() : text.least <= text.most;
            return any ? at(state.b) : Grammar::kHopeless;
        }
        case Op::done: break;
    }
    return 0;
}

void GrammarWriter::finish(uint32_t root) {
    grammar_.root = root;
    for (Grammar::State& state : grammar_.states) state.levels = Grammar::kHopeless;
    for (bool changed = true; changed;) {
        changed = false;
        for (Grammar::State& state : grammar_.states) {
            const uint8_t levels = levels_at(state);
            if (levels >= state.levels) continue;
            state.levels = levels;
            changed = true;
        }
    }
    const auto hopeless = [&](uint32_t state) { return grammar_.states[state].levels == Grammar::kHopeless; };
    for (Grammar::State& state : grammar_.states) {
        if (state.op == Op::bytes) {
            const auto end = std::remove_if(grammar_.edges.begin() + state.a, grammar_.edges.begin() + state.b,
                                            [&](const Grammar::Edge& edge) { return hopeless(edge.next); });
            state.b = static_cast<uint32_t>(end - grammar_.edges.begin());
        }
        if (state.op == Op::fork) {
            const auto end = std::remove_if(grammar_.targets.begin() + state.a, grammar_.targets.begin() + state.b, hopeless);
            state.b = static_cast<uint32_t>(end - grammar_.targets.begin());
        }
    }
}

}  // namespace lapidary::model
