// Walks the trees with all threads at once. Where one thread alone is left and that is inside of a string, the plain tokens below
// need no walk: all of them go, or those that are short enough, or a table says which.
#include "model/text/schema/token_mask.h"

#include <algorithm>
#include <array>

namespace lapidary::model {
namespace {

constexpr uint32_t kWholeTree = UINT32_MAX;
constexpr size_t kMaxKept = 512;  // masks; 32 KiB each for 262,144 tokens

}  // namespace

// Of a thread between two characters of a string.
const TextRule* TokenMask::text_of(const Thread& thread) const {
    const Grammar::State& state = grammar_.states[thread.state];
    return state.op == Grammar::Op::text && thread.phase == Thread::kBetween ? &grammar_.texts[state.a] : nullptr;
}

void TokenMask::add(Matcher& matcher, std::span<uint32_t> bits) {
    Threads outside;  // of strings
    for (const Thread& thread : matcher.now()) {
        if (!text_of(thread)) {
            outside.push_back(thread);
            continue;
        }
        add_inside(thread, kWholeTree, 0, bits);
        walk(matcher, trie_.others(), {&thread, 1}, bits);
        // A bare key ends with a plain byte. Tokens that end one in their midst are left out: there are others for the same text.
        const uint16_t close = text_of(thread)->close;
        if (close != '"' && close < kQuoteSymbol) walk(matcher, trie_.plain(), {&thread, 1}, bits, close);
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
        if (plain && i < node.end && here.threads.size() == 1 && add_inside(here.threads[0], i - 1, here.characters, bits)) i = node.end;
    }
    matcher.release(before);
}

bool TokenMask::add_inside(const Thread& thread, uint32_t node, uint32_t characters, std::span<uint32_t> bits) {
    const TextRule* text = text_of(thread);
    if (!text) return false;
    const TokenTrie::Tree& tree = trie_.plain();
    const auto join = [&](const TokenBits& more) {
        for (size_t w = 0; w < bits.size(); ++w) bits[w] |= more[w];
    };
    if (text->table >= 0) {
        const Dfa& table = grammar_.tables[static_cast<size_t>(text->table)];
        const auto state = static_cast<uint16_t>(thread.at);
        if (node != kWholeTree) {
            add_by_table(table, state, node, bits);
            return true;
        }
        if (inside_.size() >= kMaxKept) inside_.clear();
        const auto [at, fresh] = inside_.try_emplace({text->table, thread.at}, TokenBits(bits.size(), 0));
        if (fresh) add_by_table(table, state, kWholeTree, at->second);
        join(at->second);
        return true;
    }
    const uint32_t left = text->most == UINT32_MAX ? UINT32_MAX : text->most - thread.at;
    if (node == kWholeTree) {
        join(trie_.plain_up_to(left));
        return true;
    }
    for (uint32_t t = tree.nodes[node].own; t < tree.tokens_end(node); ++t)
        if (left == UINT32_MAX || tree.characters[t] - characters <= left) set_bit(bits, tree.tokens[t]);
    return true;
}

void TokenMask::add_by_table(const Dfa& table, uint16_t state, uint32_t node, std::span<uint32_t> bits) const {
    const TokenTrie::Tree& tree = trie_.plain();
    const bool whole = node == kWholeTree;
    const uint32_t end = whole ? static_cast<uint32_t>(tree.nodes.size()) : tree.nodes[node].end;
    std::array<uint16_t, 256> states{};  // by depth
    states[whole ? 0 : tree.nodes[node].depth] = state;
    for (uint32_t i = whole ? 0 : node + 1; i < end;) {
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
