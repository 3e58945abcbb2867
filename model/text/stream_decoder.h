// Turns generated ids into text one by one, giving out whole UTF-8 characters only: a rare character may
// be up to four byte tokens. One decoder per stream; the tokenizer must outlive it.
#pragma once

#include <cstdint>
#include <string>

namespace lapidary::model {

class Tokenizer;

class StreamDecoder {
  public:
    explicit StreamDecoder(const Tokenizer& tokenizer, bool render_special = false);

    // The text that became complete with this id. A byte that cannot belong to a character, like an id
    // outside the vocabulary, gives U+FFFD; an incomplete character stays inside.
    std::string push(int32_t id);
    // At the end: what is still incomplete, one U+FFFD per byte. The decoder is then as new.
    std::string finish();

  private:
    std::string take_complete();

    const Tokenizer* tokenizer_;
    bool render_special_;
    std::string pending_;  // bytes of a character that is not complete yet
};

}  // namespace lapidary::model
