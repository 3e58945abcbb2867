// The grammar: [<|channel>thought WS text <channel|>] answer {<|tool_call>call:NAME{...}<tool_call|>}, by token ids. White
// space is held back until it is known not to stand before a mark.
#include "model/text/reply_parser.h"

#include <algorithm>
#include <initializer_list>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/tokenizer.h"
#include "model/text/tool_calls.h"
#include "model/text/tool_markup.h"
#include "model/text/white_space.h"

namespace lapidary::model {
namespace {

constexpr std::string_view kThoughtName = "thought";

}  // namespace

// A turn ends every one of the turn before it.
std::optional<size_t> open_mark(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
    const auto among = [&](int32_t id, std::initializer_list<std::string_view> marks) {
        return std::any_of(marks.begin(), marks.end(), [&](auto mark) { return tokenizer.special(mark) == id; });
    };
    for (size_t i = ids.size(); i-- > 0;) {
        if (ids[i] < 0 || !tokenizer.valid_id(ids[i]) || !tokenizer.is_added(ids[i])) continue;
        if (among(ids[i], {"<|channel>", "<|tool_call>"})) return i;
        if (among(ids[i], {"<channel|>", "<|turn>", "<turn|>", "<tool_call|>", "<|tool_response>"})) return std::nullopt;
    }
    return std::nullopt;
}

std::optional<size_t> open_thought(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
    const auto mark = open_mark(tokenizer, ids);
    return mark && tokenizer.special("<|channel>") == ids[*mark] ? mark : std::nullopt;
}

Result<ReplyParser> ReplyParser::create(const Tokenizer& tokenizer, std::span<const int32_t> before, JsonValue tools) {
    Marks marks{};
    LAP_ASSIGN(marks.channel_open, tokenizer.require_special("<|channel>"));
    LAP_ASSIGN(marks.channel_close, tokenizer.require_special("<channel|>"));
    LAP_ASSIGN(marks.tool_response, tokenizer.require_special("<|tool_response>"));
    marks.call_open = tokenizer.special("<|tool_call>").value_or(-1);
    marks.call_close = tokenizer.special("<tool_call|>").value_or(-1);
    marks.quote = tokenizer.special(kQuoteToken).value_or(-1);
    marks.turn_end = tokenizer.special("<turn|>").value_or(-1);
    marks.eos = tokenizer.special("<eos>").value_or(-1);
    ReplyParser parser(tokenizer, marks, std::move(tools));
    if (const auto open = open_mark(tokenizer, before))
        for (const int32_t id : before.subspan(*open)) parser.feed(id);
    parser.position_ = before.size();
    return parser;
}

bool ReplyParser::is_mark(int32_t id) const {
    const Marks& m = marks_;
    if (id < 0) return false;
    if (state_ == State::call && (id == m.quote || id == m.turn_end || id == m.eos)) return true;
    return id == m.channel_open || id == m.channel_close || id == m.tool_response || id == m.call_open || id == m.call_close;
}

ReplyDelta ReplyParser::feed(int32_t id) {
    ReplyDelta delta;
    ++position_;
    if (!is_mark(id)) {
        take(decoder_.push(id), delta);
        return delta;
    }
    take(decoder_.finish(), delta);  // a broken character belongs to the text before the mark
    if (state_ == State::call && id == marks_.quote) {
        call_ += kQuoteMark;
        return delta;
    }
    if (state_ == State::call) close_call(delta);
    if (id == marks_.call_open) open_call(delta);
    if (id == marks_.channel_open) open_channel(delta);
    if (id == marks_.channel_close) close_channel();
    return delta;
}

ReplyDelta ReplyParser::finish() {
    ReplyDelta delta;
    take(decoder_.finish(), delta);
    if (state_ == State::header && trim(header_) != kThoughtName) delta.thinking += header_;
    if (state_ == State::answer) delta.text += held_spaces_;
    if (state_ == State::call) delta.broken_call = "<|tool_call>" + call_text(call_);  // cut: nobody knows what was to come
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
        case State::call: call_ += text; break;
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

// Also within a thought, which it ends.
void ReplyParser::open_call(ReplyDelta& delta) {
    if (state_ == State::header && trim(header_) != kThoughtName) delta.thinking += header_;
    close_channel();
    call_.clear();
    state_ = State::call;
}

void ReplyParser::close_call(ReplyDelta& delta) {
    delta.call = parse_call(call_, tools_);
    if (delta.call)
        delta.call->id = concat("call_", position_ - 1);
    else
        delta.broken_call = "<|tool_call>" + call_text(call_);
    state_ = State::answer;
    skip_spaces_ = true;
}

}  // namespace lapidary::model
