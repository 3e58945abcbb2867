// Walks the trees with all threads at once. Where one thread alone is left and that is inside of a string, the plain tokens below
// need no walk: all of them go, or those that are short enough, or a table says which.
#include "model/text/schema/token_mask.h"

#include <algorithm>
#include <array>

namespace lapidary::model {
namespace {

constexpr size_t kMaxKept = 512;  // masks; 32 KiB each for 262,144 tokens

}  // namespace

TokenMask::TokenMask(const Grammar& grammar, const TokenTrie& trie, int32_t quote)
    : grammar_(grammar), trie_(trie), quote_(quote), levels_(trie.deepest() + 1) {
    for (const Dfa& table : grammar.tables) by_table_.emplace_back(table, trie.plain());
}

// Of a thread between two characters of a string.
const TextRule* TokenMask::text_of(const Thread& thread) const {
    const Grammar::State& state = grammar_.states[thread.state];
    return state.op == Grammar::Op::text && thread.phase == Thread::kBetween ? &grammar_.texts[state.a] : nullptr;
}

void TokenMask::add(Matcher& matcher, std::span<uint32_t> bits) {
    Threads outside;  // of strings
    for (const Thread& thread : matcher.now()) {
        const TextRule* text = text_of(thread);
        if (!text) {
            outside.push_back(thread);
            continue;
        }
        add_inside(thread, *text, bits);
        walk(matcher, trie_.others(), {&thread, 1}, bits);
        // A bare key ends with a plain byte. Tokens that end one in their midst are left out: there are others for the same text.
        if (text->close != '"' && text->close < kQuoteSymbol) walk(matcher, trie_.plain(), {&thread, 1}, bits, text->close);
    }
    if (!outside.empty()) {
        walk(matcher, trie_.plain(), outside, bits);
        walk(matcher, trie_.others(), outside, bits);
    }
    if (quote_ < 0) return;
    const Matcher::Mark before = matcher.mark();
    matcher.step(matcher.now(), kQuoteSymbol, levels_[0].threads);
    if (!levels_[0].threads.empty()) set_bit(bits, quote_);
    matcher.release(before);
}

void TokenMask::walk(Matcher& matcher, const TokenTrie::Tree& tree, std::span<const Thread> from, std::span<uint32_t> bits, int byte) {
    const bool plain = &tree == &trie_.plain();
    const Matcher::Mark before = matcher.mark();
    levels_[0].threads.assign(from.begin(), from.end());
    levels_[0].mark = before;
    levels_[0].characters = 0;
    for (uint32_t i = 0; i < tree.nodes.size();) {
        const TokenTrie::Node& node = tree.nodes[i];
        if (node.depth == 1 && byte >= 0 && node.byte != byte) {
            i = node.end;
            continue;
        }
        const Place& above = levels_[node.depth - 1u];
        Place& here = levels_[node.depth];
        matcher.release(above.mark);
        matcher.step(above.threads, node.byte, here.threads);
        if (here.threads.empty()) {
            i = node.end;
            continue;
        }
        here.mark = matcher.mark();
        here.characters = above.characters + ((node.byte & 0xC0) != 0x80 ? 1 : 0);
        for (uint32_t t = node.first; t < node.own; ++t) set_bit(bits, tree.tokens[t]);
        ++i;
        const TextRule* text = plain && i < node.end && here.threads.size() == 1 ? text_of(here.threads[0]) : nullptr;
        if (!text) continue;
        add_below(here.threads[0], *text, i - 1, here.characters, bits);
        i = node.end;
    }
    matcher.release(before);
}

void TokenMask::add_inside(const Thread& thread, const TextRule& text, std::span<uint32_t> bits) {
    const auto join = [&](const TokenBits& more) {
        for (size_t w = 0; w < bits.size(); ++w) bits[w] |= more[w];
    };
    if (text.table < 0) return join(trie_.plain_up_to(text.most == UINT32_MAX ? UINT32_MAX : text.most - thread.at));
    if (inside_.size() >= kMaxKept) inside_.clear();
    const auto [at, fresh] = inside_.try_emplace({text.table, thread.at}, TokenBits(bits.size(), 0));
    const auto table = static_cast<size_t>(text.table);
    if (fresh) by_table_[table].add(grammar_.tables[table], static_cast<uint16_t>(thread.at), at->second);
    join(at->second);
}

void TokenMask::add_below(const Thread& thread, const TextRule& text, uint32_t node, uint32_t characters, std::span<uint32_t> bits) const {
    const TokenTrie::Tree& tree = trie_.plain();
    if (text.table < 0) {
        const uint32_t left = text.most == UINT32_MAX ? UINT32_MAX : text.most - thread.at;
        for (uint32_t t = tree.nodes[node].own; t < tree.tokens_end(node); ++t)
            if (left == UINT32_MAX || tree.characters[t] - characters <= left) set_bit(bits, tree.tokens[t]);
        return;
    }
    const Dfa& table = grammar_.tables[static_cast<size_t>(text.table)];
    std::array<uint16_t, 256> states{};  // by depth
    states[tree.nodes[node].depth] = static_cast<uint16_t>(thread.at);
    for (uint32_t i = node + 1; i < tree.nodes[node].end;) {
        const TokenTrie::Node& n = tree.nodes[i];
        const uint16_t to = table.states[states[n.depth - 1u]].next[n.byte];
        if (to == Dfa::kDead) {
            i = n.end;
            continue;
        }
        states[n.depth] = to;
        for (uint32_t t = n.first; t < n.own; ++t) set_bit(bits, tree.tokens[t]);
        ++i;
    }
}

}  // namespace lapidary::model
