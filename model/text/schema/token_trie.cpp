// Sorting puts the tokens into the order of the nodes.
#include "model/text/schema/token_trie.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "model/text/vocabulary_build.h"

namespace lapidary::model {
namespace {

constexpr size_t kLongestToken = 255;  // bytes; depths are bytes

using Entry = std::pair<std::string_view, int32_t>;

bool is_text(const Tokenizer& tokenizer, int32_t id) {
    const TokenType type = tokenizer.type(id);
    if (type == TokenType::control || type == TokenType::unused || type == TokenType::unknown) return false;
    return !is_visible_special(tokenizer.piece(id));
}

bool is_plain(std::string_view bytes) {
    const bool escaped = std::any_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == '"' || c == '\\'; });
    return !escaped && valid_utf8(bytes);
}

TokenTrie::Tree tree_of(std::vector<Entry>& entries) {
    std::sort(entries.begin(), entries.end());
    TokenTrie::Tree tree;
    std::vector<uint32_t> open;  // nodes on the way to the last token
    std::string_view last;
    const auto close_to = [&](size_t depth) {
        for (; open.size() > depth; open.pop_back()) tree.nodes[open.back()].end = static_cast<uint32_t>(tree.nodes.size());
    };
    for (const auto& [bytes, id] : entries) {
        size_t same = 0;
        while (same < std::min(bytes.size(), last.size()) && bytes[same] == last[same]) ++same;
        close_to(same);
        const auto first = static_cast<uint32_t>(tree.tokens.size());
        for (size_t at = same; at < bytes.size(); ++at) {
            open.push_back(static_cast<uint32_t>(tree.nodes.size()));
            tree.nodes.push_back({0, first, first, static_cast<uint8_t>(bytes[at]), static_cast<uint8_t>(at + 1)});
        }
        tree.tokens.push_back(id);
        tree.characters.push_back(static_cast<uint8_t>(
            std::count_if(bytes.begin(), bytes.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; })));
        tree.nodes[open.back()].own = static_cast<uint32_t>(tree.tokens.size());
        last = bytes;
    }
    close_to(0);
    return tree;
}

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer, int32_t vocab) : vocab_(vocab) {
    std::string text;
    std::vector<std::pair<size_t, int32_t>> begins;
    for (int32_t id = 0; id < std::min(vocab, tokenizer.size()); ++id) {
        if (!is_text(tokenizer, id)) continue;
        const std::string bytes = tokenizer.token_bytes(id);
        if (bytes.empty() || bytes.size() > kLongestToken) continue;
        begins.emplace_back(text.size(), id);
        text += bytes;
        deepest_ = std::max(deepest_, bytes.size());
    }
    std::vector<Entry> plain, others;
    for (size_t i = 0; i < begins.size(); ++i) {
        const auto [begin, id] = begins[i];
        const size_t end = i + 1 < begins.size() ? begins[i + 1].first : text.size();
        const std::string_view bytes = std::string_view(text).substr(begin, end - begin);
        (is_plain(bytes) ? plain : others).emplace_back(bytes, id);
    }
    plain_ = tree_of(plain);
    others_ = tree_of(others);
    const size_t longest = plain_.characters.empty() ? 0 : *std::max_element(plain_.characters.begin(), plain_.characters.end());
    up_to_.assign(longest + 1, TokenBits(words(), 0));
    for (size_t i = 0; i < plain_.tokens.size(); ++i)
        for (size_t most = plain_.characters[i]; most <= longest; ++most) set_bit(up_to_[most], plain_.tokens[i]);
}

const TokenBits& TokenTrie::plain_up_to(uint32_t characters) const { return up_to_[std::min<size_t>(characters, up_to_.size() - 1)]; }

}  // namespace lapidary::model
