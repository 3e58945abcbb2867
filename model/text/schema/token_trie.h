// A vocabulary as two trees of bytes: tokens that are plain inside of any string (whole characters, nothing that JSON escapes), and
// the others. Few tokens are among the others, so that inside a string only they must be looked at one by one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/text/tokenizer.h"

namespace lapidary::model {

using TokenBits = std::vector<uint32_t>;  // bit id % 32 of word id / 32
inline void set_bit(std::span<uint32_t> bits, int32_t id) { bits[static_cast<size_t>(id) / 32] |= 1u << (id % 32); }
inline bool has_bit(std::span<const uint32_t> bits, int32_t id) { return (bits[static_cast<size_t>(id) / 32] >> (id % 32) & 1) != 0; }

class TokenTrie {
  public:
    struct Node {
        uint32_t end;           // of the nodes below it, which follow it
        uint32_t first, own;    // its own tokens: [first, own) of Tree::tokens; those below it follow
        uint8_t byte, depth;    // depth of the first byte: 1
    };
    struct Tree {
        std::vector<Node> nodes;  // each before those below it, and these in the order of their bytes
        std::vector<int32_t> tokens;
        std::vector<uint8_t> characters;  // of each of the tokens
        uint32_t tokens_end(uint32_t node) const {
            return nodes[node].end < nodes.size() ? nodes[nodes[node].end].first : static_cast<uint32_t>(tokens.size());
        }
    };

    // Of the tokens that are text, with ids below `vocab`, the number of the model's rows.
    TokenTrie(const Tokenizer& tokenizer, int32_t vocab);

    const Tree& plain() const { return plain_; }
    const Tree& others() const { return others_; }
    size_t deepest() const { return deepest_; }
    size_t words() const { return (static_cast<size_t>(vocab_) + 31) / 32; }  // of a mask
    int32_t vocab() const { return vocab_; }
    // Plain tokens of at most so many characters.
    const TokenBits& plain_up_to(uint32_t characters) const;

  private:
    int32_t vocab_;
    Tree plain_, others_;
    size_t deepest_ = 0;
    std::vector<TokenBits> up_to_;  // the last one holds all
};

}  // namespace lapidary::model
