// The longest added token at a place of a text, and how much work finding it is.
#include "model/text/added_tokens.h"

#include <doctest/doctest.h>

#include <string>

using namespace lapidary::model;

namespace {

// Only what AddedTokens reads: pieces and the list of the added ones (all of them here).
Vocabulary of_pieces(const std::vector<std::string>& pieces) {
    Vocabulary v;
    v.offsets.push_back(0);
    for (const std::string& piece : pieces) {
        v.added_tokens.push_back(v.size());
        v.text += piece;
        v.offsets.push_back(static_cast<uint32_t>(v.text.size()));
        v.types.push_back(TokenType::control);
    }
    return v;
}

}  // namespace

TEST_CASE("added tokens: the longest wins, a dead end falls back to what was complete") {
    const AddedTokens tokens(of_pieces({"<a>", "<", "<<", "\xF0\x9F\x99\x82", "<ab>x", "<ab"}));
    CHECK(tokens.longest_at("<a>b") == 0);
    CHECK(tokens.longest_at("<x") == 1);
    CHECK(tokens.longest_at("<<<") == 2);
    CHECK(tokens.longest_at("\xF0\x9F\x99\x82!") == 3);
    CHECK(tokens.longest_at("\xF0\x9F\x99") == -1);
    CHECK(tokens.longest_at("<ab>x") == 4);
    CHECK(tokens.longest_at("<ab>y") == 5);
    CHECK(tokens.longest_at("<ab>") == 5);
    CHECK(tokens.longest_at("a<a>") == -1);
    CHECK(tokens.longest_at("") == -1);
    CHECK(AddedTokens().longest_at("<a>") == -1);
}

TEST_CASE("added tokens: the work depends on the text, not on how many tokens there are") {
    std::vector<std::string> pieces;
    for (int i = 0; i < 9000; ++i) pieces.push_back("[reserved_" + std::to_string(i) + "]");
    const AddedTokens tokens(of_pieces(pieces));
    for (int i = 0; i < 9000; i += 911) CHECK(tokens.longest_at(pieces[static_cast<size_t>(i)] + "[") == i);
    int64_t steps = 0;
    const std::string text(1000, '[');
    for (size_t i = 0; i < text.size(); ++i) CHECK(tokens.longest_at(text.substr(i), &steps) == -1);
    CHECK(steps < 2 * 1000);  // '[' leads on, the second '[' does not
}
