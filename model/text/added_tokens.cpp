// Builds the trie level by level from the sorted tokens; see added_tokens.h.
#include "model/text/added_tokens.h"

#include <algorithm>

namespace lapidary::model {

AddedTokens::AddedTokens(const Vocabulary& vocabulary) {
    std::vector<int32_t> sorted = vocabulary.added_tokens;
    std::sort(sorted.begin(), sorted.end(),
              [&](int32_t a, int32_t b) { return vocabulary.piece(a) < vocabulary.piece(b); });
    struct Range {  // of the sorted tokens that begin with the text of one node
        size_t begin, end, depth;
    };
    nodes_.push_back({});
    std::vector<Range> ranges = {{0, sorted.size(), 0}};
    for (size_t i = 0; i < nodes_.size(); ++i) {
        auto [at, end, depth] = ranges[i];
        // A token that ends here sorts before those that go on.
        if (at < end && vocabulary.piece(sorted[at]).size() == depth) nodes_[i].id = sorted[at++];
        nodes_[i].first_child = static_cast<uint32_t>(nodes_.size());
        while (at < end) {
            const char byte = vocabulary.piece(sorted[at])[depth];
            const size_t begin = at;
            while (at < end && vocabulary.piece(sorted[at])[depth] == byte) ++at;
            nodes_.push_back({.byte = static_cast<uint8_t>(byte)});
            ranges.push_back({begin, at, depth + 1});
            ++nodes_[i].children;
        }
    }
}

const AddedTokens::Node* AddedTokens::child(const Node& node, uint8_t byte) const {
    const auto first = nodes_.begin() + node.first_child, last = first + node.children;
    const auto found = std::lower_bound(first, last, byte, [](const Node& n, uint8_t b) { return n.byte < b; });
    return found != last && found->byte == byte ? &*found : nullptr;
}

int32_t AddedTokens::longest_at(std::string_view text, int64_t* steps) const {
    int32_t id = -1;
    const Node* node = nodes_.empty() ? nullptr : nodes_.data();
    size_t at = 0;
    while (node && at < text.size()) {
        node = child(*node, static_cast<uint8_t>(text[at++]));
        if (node && node->id >= 0) id = node->id;
    }
    if (steps) *steps += static_cast<int64_t>(at);
    return id;
}

}  // namespace lapidary::model
