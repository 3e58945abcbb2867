// The grammar: [<|channel>thought WS text <channel|>] answer, by token ids. White space is held back until it
// is known not to stand before a mark.
#include "model/text/reply_parser.h"

#include "base/try.h"
#include "model/text/tokenizer.h"
#include "model/text/white_space.h"

namespace lapidary::model {
namespace {

constexpr std::string_view kThoughtName = "thought";

}  // namespace

// A turn ends every thought of the turn before it.
std::optional<size_t> open_thought(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
    const auto id_of = [&](std::string_view mark) {
        const auto id = tokenizer.require_special(mark);
        return id ? *id : -1;
    };
    const int32_t open = id_of("<|channel>"), close = id_of("<channel|>"), turn = id_of("<|turn>"),
                  turn_end = id_of("<turn|>");
    for (size_t i = ids.size(); i-- > 0;) {
        if (ids[i] < 0) continue;
        if (ids[i] == open) return i;
        if (ids[i] == close || ids[i] == turn || ids[i] == turn_end) return std::nullopt;
    }
    return std::nullopt;
}

Result<ReplyParser> ReplyParser::create(const Tokenizer& tokenizer, std::span<const int32_t> before) {
    Marks marks{};
    LAP_ASSIGN(marks.channel_open, tokenizer.require_special("<|channel>"));
    LAP_ASSIGN(marks.channel_close, tokenizer.require_special("<channel|>"));
    LAP_ASSIGN(marks.tool_response, tokenizer.require_special("<|tool_response>"));
    ReplyParser parser(tokenizer, marks);
    if (const auto thought = open_thought(tokenizer, before))
        for (const int32_t id : before.subspan(*thought)) parser.feed(id);
    return parser;
}

ReplyDelta ReplyParser::feed(int32_t id) {
    ReplyDelta delta;
    const bool is_mark =
        id == marks_.channel_open || id == marks_.channel_close || id == marks_.tool_response;
    if (!is_mark) {
        take(decoder_.push(id), delta);
        return delta;
    }
    take(decoder_.finish(), delta);  // a broken character belongs to the text before the mark
    if (id == marks_.channel_open) open_channel(delta);
    if (id == marks_.channel_close) close_channel();
    return delta;
}

ReplyDelta ReplyParser::finish() {
    ReplyDelta delta;
    take(decoder_.finish(), delta);
    if (state_ == State::header && trim(header_) != kThoughtName) delta.thinking += header_;
    if (state_ == State::answer) delta.text += held_spaces_;
    header_.clear();
    held_spaces_.clear();
    state_ = State::answer;
    return delta;
}

void ReplyParser::take(std::string_view text, ReplyDelta& delta) {
    if (text.empty()) return;
    switch (state_) {
        case State::answer: give(text, delta.text); break;
        case State::header: take_header(text, delta); break;
        case State::thought: give(text, delta.thinking); break;
    }
}

// Reads "thought" and one white space; a channel of another name is a thought whose name is kept as text.
void ReplyParser::take_header(std::string_view text, ReplyDelta& delta) {
    header_ += text;
    const std::string_view name = trim_left(header_);
    if (name.size() <= kThoughtName.size() && kThoughtName.starts_with(name)) return;  // more to come
    std::string_view thought = name;
    if (name.starts_with(kThoughtName)) {
        const std::string_view rest = name.substr(kThoughtName.size());
        if (trim_left(rest).size() != rest.size()) thought = rest;
    }
    const std::string kept(thought);
    header_.clear();
    state_ = State::thought;
    skip_spaces_ = true;
    give(kept, delta.thinking);
}

void ReplyParser::give(std::string_view text, std::string& out) {
    if (skip_spaces_) text = trim_left(text);
    if (text.empty()) return;
    skip_spaces_ = false;
    const std::string_view solid = trim_right(text);
    if (!solid.empty()) {
        out += held_spaces_;
        out += solid;
        held_spaces_.clear();
    }
    held_spaces_ += text.substr(solid.size());
}

// Inside a thought this is a doubled mark: a repeated name is dropped, the thought goes on.
void ReplyParser::open_channel(ReplyDelta& delta) {
    if (state_ == State::header && trim(header_) != kThoughtName) delta.thinking += header_;
    if (state_ == State::answer) held_spaces_.clear();
    header_.clear();
    state_ = State::header;
}

void ReplyParser::close_channel() {
    header_.clear();
    held_spaces_.clear();
    state_ = State::answer;
    skip_spaces_ = true;
}

}  // namespace lapidary::model
