// Splits a generated id stream into the thought, the answer and calls of tools, token by token, and survives the slips
// the model is known to make (empty, doubled or lone marks). Control tokens alone open a thought or a call: text that
// spells one may be quoted from anywhere. One parser per reply; the tokenizer must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lapidary/lapidary.h"
#include "model/text/json_value.h"
#include "model/text/stream_decoder.h"

namespace lapidary::model {

class Tokenizer;

struct ReplyDelta {
    std::string thinking;
    std::string text;
    std::optional<ToolCall> call;  // that is complete now
    std::string broken_call;       // the text of one that cannot be read
};

// Where the thought or call begins that the end of a sequence lies in: the index of its mark.
std::optional<size_t> open_mark(const Tokenizer& tokenizer, std::span<const int32_t> ids);
// The same of thoughts alone.
std::optional<size_t> open_thought(const Tokenizer& tokenizer, std::span<const int32_t> ids);

class ReplyParser {
  public:
    // `before`: the sequence that the reply goes on. A thought or call that it left open goes on too, where it stopped.
    // `tools` as in tool_calls.h.
    static Result<ReplyParser> create(const Tokenizer& tokenizer, std::span<const int32_t> before = {}, JsonValue tools = {});

    // What became certain with this id. Ids that end a reply (and other control tokens) give nothing.
    ReplyDelta feed(int32_t id);
    // At the end of the reply: what was held back.
    ReplyDelta finish();
    // White space of the answer that waits for what follows it.
    std::string_view held_spaces() const { return state_ == State::answer ? held_spaces_ : std::string_view(); }
    bool in_thought() const { return state_ == State::header || state_ == State::thought; }
    bool behind_header() const { return state_ == State::thought; }  // in a thought, and its name was read

  private:
    // header: after <|channel>, while the channel's name is being read.
    enum class State { answer, header, thought, call };

    struct Marks {
        int32_t channel_open;
        int32_t channel_close;
        int32_t tool_response;
        int32_t call_open, call_close, quote, turn_end, eos;  // -1: the vocabulary has none
    };

    ReplyParser(const Tokenizer& tokenizer, Marks marks, JsonValue tools)
        : marks_(marks), decoder_(tokenizer), tools_(std::move(tools)) {}
    bool is_mark(int32_t id) const;
    void take(std::string_view text, ReplyDelta& delta);
    void take_header(std::string_view text, ReplyDelta& delta);
    void give(std::string_view text, std::string& out);
    void open_channel(ReplyDelta& delta);
    void close_channel();
    void open_call(ReplyDelta& delta);
    void close_call(ReplyDelta& delta);

    Marks marks_;
    StreamDecoder decoder_;
    State state_ = State::answer;
    std::string header_;        // in header: the name so far
    std::string held_spaces_;   // white space that goes out only if more text follows
    bool skip_spaces_ = false;  // white space at the start of a thought, or after <channel|> and <tool_call|>
    JsonValue tools_;
    std::string call_;          // in call: its text so far
    size_t position_ = 0;       // tokens of the sequence
};

}  // namespace lapidary::model
