// The added tokens (`<|turn>`, `<unused17>`...) as a trie: which of them a text begins with is found in as many steps
// as that token has bytes, however many there are. Used by the tokenizer.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/text/vocabulary.h"

namespace lapidary::model {

class AddedTokens {
  public:
    AddedTokens() = default;
    explicit AddedTokens(const Vocabulary& vocabulary);

    // The longest that `text` begins with, -1 if none. `steps`, if given, grows by the bytes that were looked at.
    int32_t longest_at(std::string_view text, int64_t* steps = nullptr) const;

  private:
    // Nodes in breadth-first order, so that the children of one lie side by side, by rising byte. Node 0 is the root.
    struct Node {
        uint32_t first_child = 0;
        uint16_t children = 0;
        uint8_t byte = 0;  // that leads here
        int32_t id = -1;   // of the token that ends here
    };
    const Node* child(const Node& node, uint8_t byte) const;

    std::vector<Node> nodes_;
};

}  // namespace lapidary::model
