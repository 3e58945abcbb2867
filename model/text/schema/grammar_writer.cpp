// Every part is made with the state behind it, so that a state leads to those before it in the list, loops aside.
#include "model/text/schema/grammar_writer.h"

#include <algorithm>
#include <array>
#include <numeric>

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

template <class Visit>
void GrammarWriter::for_each_next(const Grammar::State& state, const Visit& visit) const {
    switch (state.op) {
        case Op::bytes:
            for (uint32_t i = state.a; i < state.b; ++i) visit(grammar_.edges[i].next);
            break;
        case Op::fork:
            for (uint32_t i = state.a; i < state.b; ++i) visit(grammar_.targets[i]);
            break;
        case Op::call:
            visit(grammar_.rules[state.a].start);
            visit(state.b);
            break;
        case Op::gap: visit(state.a); break;
        case Op::text: visit(state.b); break;
        case Op::done: break;
    }
}

// What the way to the end takes that begins with this state and goes on with `next`.
uint8_t GrammarWriter::levels_by(const Grammar::State& state, uint32_t next) const {
    const uint8_t behind = grammar_.states[next].levels;
    if (state.op == Op::call) return std::max(levels_of(state.a), grammar_.states[state.b].levels);
    if (state.op != Op::text) return behind;
    const TextRule& text = grammar_.texts[state.a];
    const bool any = text.table >= 0 ? !grammar_.tables[static_cast<size_t>(text.table)].empty() : text.least <= text.most;
    return any ? behind : Grammar::kHopeless;
}

// From the ends back, those with the fewest levels first (Knuth 1977), so that no state is looked at again and again.
void GrammarWriter::find_levels() {
    auto& states = grammar_.states;
    std::vector<uint32_t> begin(states.size() + 1, 0);  // of each state those that lead to it
    for (Grammar::State& state : states) {
        state.levels = Grammar::kHopeless;
        for_each_next(state, [&](uint32_t next) { ++begin[next + 1]; });
    }
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<uint32_t> from(begin.back()), filled(begin.begin(), begin.end() - 1);
    std::array<std::vector<uint32_t>, Grammar::kHopeless> waiting;  // by levels
    for (uint32_t i = 0; i < states.size(); ++i) {
        for_each_next(states[i], [&](uint32_t next) { from[filled[next]++] = i; });
        if (states[i].op != Op::done) continue;
        states[i].levels = 0;
        waiting[0].push_back(i);
    }
    for (size_t levels = 0; levels < waiting.size(); ++levels)
        while (!waiting[levels].empty()) {
            const uint32_t next = waiting[levels].back();
            waiting[levels].pop_back();
            if (states[next].levels != levels) continue;  // found with fewer
            for (uint32_t i = begin[next]; i < begin[next + 1]; ++i) {
                Grammar::State& state = states[from[i]];
                const uint8_t by = levels_by(state, next);
                if (by >= state.levels) continue;
                state.levels = by;
                waiting[by].push_back(from[i]);
            }
        }
}

void GrammarWriter::finish(uint32_t root) {
    grammar_.root = root;
    find_levels();
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
