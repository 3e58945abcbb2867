// What may stand where: see reply_parser.cpp for the grammar of a reply.
#include "model/text/reply_guide.h"

#include <algorithm>

#include "base/try.h"
#include "model/text/reply_parser.h"
#include "model/text/tool_markup.h"

namespace lapidary::model {

Result<ReplyGuide> ReplyGuide::create(const Tokenizer& tokenizer, const TokenTrie& tokens, const GuideOptions& options,
                                      std::span<const int32_t> before) {
    ReplyGuide guide(tokenizer, tokens);
    const auto mark = [&](std::string_view text) { return tokenizer.special(text).value_or(-1); };
    guide.channel_open_ = mark("<|channel>");
    guide.channel_close_ = mark("<channel|>");
    guide.call_open_ = mark("<|tool_call>");
    guide.call_close_ = mark("<tool_call|>");
    guide.response_ = mark("<|tool_response>");
    guide.quote_ = mark(kQuoteToken);
    guide.stops_.assign(options.stop_ids.begin(), options.stop_ids.end());
    GrammarCache own;
    GrammarCache& grammars = options.grammars ? *options.grammars : own;
    if (!options.schema.empty()) {
        LAP_ASSIGN(auto grammar, grammars.of_schema(options.schema));
        guide.answer_ = std::make_unique<Held>(std::move(grammar), tokens, -1);
        if (guide.stops_.empty())
            return Error{Errc::bad_model_file, "the model names no token that ends a reply, so an answer to a schema could not end",
                         "fetch the model again, with its generation settings"};
    }
    if (options.tools && !options.tools->items.empty()) {
        LAP_ASSIGN(auto grammar, grammars.of_calls(*options.tools, options.hold_tools));
        guide.call_ = std::make_unique<Held>(std::move(grammar), tokens, guide.quote_);
    }
    // Who was not asked to think, or has thought, answers.
    const int32_t think = mark("<|think|>");
    const bool asked = think >= 0 && std::find(before.begin(), before.end(), think) != before.end();
    guide.thought_ = !asked || before.back() == guide.channel_close_;
    if (const auto open = open_mark(tokenizer, before))
        for (const int32_t id : before.subspan(*open)) guide.feed(id);
    return guide;
}

void ReplyGuide::call_begins() {
    where_ = Where::call;
    lost_ = !call_;
    if (call_) call_->matcher = Matcher(*call_->grammar);
}

void ReplyGuide::feed(int32_t id) {
    if (where_ == Where::call) {
        if (id == call_close_) {
            where_ = Where::answer;
            called_ = true;
        } else if (!lost_) {
            const bool known = id == quote_ ? call_->matcher.feed(kQuoteSymbol) : call_->matcher.feed(tokenizer_->token_bytes(id));
            lost_ = !known;
        }
    } else if (id == call_open_ && id >= 0) {
        call_begins();
    } else if (where_ == Where::thought) {
        if (id == channel_close_) where_ = Where::answer;
    } else if (id == channel_open_) {
        where_ = Where::thought;
        thought_ = true;
    } else if (answer_ && tokenizer_->valid_id(id)) {
        answered_ = true;
        answer_->matcher.feed(tokenizer_->token_bytes(id));
    }
}

void ReplyGuide::allow(int32_t id) {
    if (id >= 0 && id < tokens_->vocab()) set_bit(bits_, id);
}

void ReplyGuide::allow_stops() {
    for (const int32_t id : stops_)
        if (id != response_ || stops_.size() == 1 || called_) allow(id);
}

void ReplyGuide::all_but(std::initializer_list<int32_t> ids) {
    std::fill(bits_.begin(), bits_.end(), UINT32_MAX);
    if (tokens_->vocab() % 32 != 0) bits_.back() = (1u << (tokens_->vocab() % 32)) - 1;
    const auto forbid = [&](int32_t id) {
        if (id >= 0 && id < tokens_->vocab()) bits_[static_cast<size_t>(id) / 32] &= ~(1u << (id % 32));
    };
    for (const int32_t id : ids) forbid(id);
    if (!answer_) return;
    for (const int32_t id : stops_) forbid(id);  // what ends the reply here leaves it without an answer
}

std::span<const uint32_t> ReplyGuide::mask() {
    std::fill(bits_.begin(), bits_.end(), 0);
    const int32_t no_call = call_ ? -1 : call_open_;
    if (where_ == Where::call) {
        if (lost_) {
            all_but({call_open_, channel_open_, channel_close_});
        } else if (call_->matcher.complete()) {
            allow(call_close_);
        } else {
            call_->mask.add(call_->matcher, bits_);
        }
        return bits_;
    }
    if (!answer_) {
        if (no_call < 0) return {};
        all_but({no_call});
        return bits_;
    }
    if (where_ == Where::thought) {
        all_but({no_call, channel_open_, call_close_, response_});
        return bits_;
    }
    if (called_) {
        allow(call_open_);
        allow_stops();
        return bits_;
    }
    if (!answered_ && !thought_) allow(channel_open_);
    if (!answered_ && call_) allow(call_open_);
    answer_->mask.add(answer_->matcher, bits_);
    if (answer_->matcher.complete()) allow_stops();
    return bits_;
}

}  // namespace lapidary::model
