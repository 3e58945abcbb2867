// Which tokens a grammar allows next, as a mask of bits. What strings allow in their inside is kept for the next time.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>

#include "model/text/schema/class_trie.h"
#include "model/text/schema/matcher.h"
#include "model/text/schema/token_trie.h"

namespace lapidary::model {

class TokenMask {
  public:
    // Both must outlive it. `quote`: the token `<|"|>`; -1: there is none.
    TokenMask(const Grammar& grammar, const TokenTrie& trie, int32_t quote = -1);

    // Adds to `bits` the tokens that the matcher can read whole. It is as before afterwards.
    void add(Matcher& matcher, std::span<uint32_t> bits);
    void forget() { inside_.clear(); }  // what was kept

  private:
    struct Place {          // of a walk
        Threads threads;
        Matcher::Mark mark = {};
        uint32_t characters = 0;  // of the token so far
    };

    // The tokens that begin with the byte; -1: all.
    void walk(Matcher& matcher, const TokenTrie::Tree& tree, std::span<const Thread> from, std::span<uint32_t> bits, int byte = -1);
    // All plain tokens that stay in the string of the thread.
    void add_inside(const Thread& thread, const TextRule& text, std::span<uint32_t> bits);
    // The same of those below a node, which has so many characters in front.
    void add_below(const Thread& thread, const TextRule& text, uint32_t node, uint32_t characters, std::span<uint32_t> bits) const;
    const TextRule* text_of(const Thread& thread) const;

    const Grammar& grammar_;
    const TokenTrie& trie_;
    int32_t quote_;
    std::vector<Place> levels_;  // by depth
    std::vector<ClassTrie> by_table_;                           // of the grammar
    std::map<std::pair<int32_t, uint32_t>, TokenBits> inside_;  // by table and its state
};

}  // namespace lapidary::model
