// Splits a generated id stream into the thought and the answer, token by token, and survives the slips the
// model is known to make (empty, doubled or lone channel marks). Tool calls are not parsed yet: their text
// passes through as answer text. One parser per reply; the tokenizer must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lapidary/result.h"
#include "model/text/stream_decoder.h"

namespace lapidary::model {

class Tokenizer;

struct ReplyDelta {
    std::string thinking;
    std::string text;
};

// Where the thought begins that the end of a sequence lies in: the index of its channel mark.
std::optional<size_t> open_thought(const Tokenizer& tokenizer, std::span<const int32_t> ids);

class ReplyParser {
  public:
    // `before`: the sequence that the reply goes on. A thought that it left open goes on too, where it stopped.
    static Result<ReplyParser> create(const Tokenizer& tokenizer, std::span<const int32_t> before = {});

    // What became certain with this id. Ids that end a reply (and other control tokens) give nothing.
    ReplyDelta feed(int32_t id);
    // At the end of the reply: what was held back.
    ReplyDelta finish();
    bool in_thought() const { return state_ != State::answer; }

  private:
    // header: after <|channel>, while the channel's name is being read.
    enum class State { answer, header, thought };

    struct Marks {
        int32_t channel_open;
        int32_t channel_close;
        int32_t tool_response;
    };

    ReplyParser(const Tokenizer& tokenizer, Marks marks) : marks_(marks), decoder_(tokenizer) {}
    void take(std::string_view text, ReplyDelta& delta);
    void take_header(std::string_view text, ReplyDelta& delta);
    void give(std::string_view text, std::string& out);
    void open_channel(ReplyDelta& delta);
    void close_channel();

    Marks marks_;
    StreamDecoder decoder_;
    State state_ = State::answer;
    std::string header_;        // in header: the name so far
    std::string held_spaces_;   // white space that goes out only if more text follows
    bool skip_spaces_ = false;  // white space at the start of a thought, or after <channel|>
};

}  // namespace lapidary::model
