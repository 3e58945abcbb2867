// The plain tokens as one table sees them: bytes that it never tells apart are one, and tokens with a byte that it takes nowhere are
// gone. Of hundreds of thousands of nodes some hundreds are left, so that what a state allows is found by a short walk.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/text/schema/dfa.h"
#include "model/text/schema/token_trie.h"

namespace lapidary::model {

class ClassTrie {
  public:
    ClassTrie(const Dfa& table, const TokenTrie::Tree& tokens);

    // Adds the tokens that lead from the state to another one.
    void add(const Dfa& table, uint16_t state, std::span<uint32_t> bits) const;

  private:
    struct Node {
        uint32_t end;         // of those below it
        uint32_t first, own;  // its tokens
        uint8_t byte, depth;  // any byte of the class
    };
    std::vector<Node> nodes_;
    std::vector<int32_t> tokens_;
};

}  // namespace lapidary::model
