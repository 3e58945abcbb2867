// Replies on the way out; see reply_output.h.
#include "apps/common/reply_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/common/numbers.h"
#include "apps/common/text_width.h"
#include "base/describe.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

double per_second(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

// What the clock and the counters say about one reply.
struct Speed {
    double prefill_tps, decode_tps, decode_gbps;
};
Speed speed_of(const Reply& reply) {
    const Timings& t = reply.timings;
    // The first token comes out of the prefill; the others cost one decoding step each.
    const uint32_t steps = reply.usage.generated > 0 ? reply.usage.generated - 1 : 0;
    return {per_second(reply.usage.prompt - reply.usage.cached, t.prefill_s), per_second(steps, t.decode_s),
            per_second(static_cast<double>(t.decode_bytes) / 1e9, t.decode_s)};
}

const char* finish_name(FinishReason reason) {
    switch (reason) {
        case FinishReason::stop: return "stop";
        case FinishReason::length: return "length";
        case FinishReason::tool_calls: return "tool_call";
        case FinishReason::cancelled: return "cancelled";
    }
    return "stop";
}

// In the form that --messages takes back.
Json calls_to_json(const std::vector<ToolCall>& calls) {
    Json list = Json::array();
    for (const ToolCall& call : calls)
        list.push_back({{"id", call.id},
                        {"type", "function"},
                        {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    return list;
}

// The longest form that `width` columns hold; 0: any number.
std::string timing_line(const Reply& reply, const ModelInfo& info, size_t width) {
    const Speed speed = speed_of(reply);
    const Usage& usage = reply.usage;
    const std::string cached = usage.cached > 0 ? fmt::format(" ({} cached)", usage.cached) : "";
    // The last token of a full context has no place in it.
    const double filled = std::min(100.0, 100.0 * (usage.prompt + usage.generated) / std::max(info.context, 1u));
    // A reply of one token has no step of its own to measure.
    const bool decoded = reply.timings.decode_steps > 0;
    const std::string rate = decoded ? fmt::format(" · {} tok/s", three_digits(speed.decode_tps)) : "";
    const std::string read = decoded ? fmt::format(" · {} GB/s", three_digits(speed.decode_gbps)) : "";
    const std::string first = three_digits(reply.timings.ttft_s);
    const std::string end = fmt::format("ctx {:.0f} %{}", filled, reply.finish == FinishReason::cancelled ? " │ stopped" : "");
    const std::string forms[] = {
        fmt::format("prompt {} tok{} · {} tok/s │ first token {} s │ reply {} tok{}{} │ {}", usage.prompt, cached,
                    three_digits(speed.prefill_tps), first, usage.generated, rate, read, end),
        fmt::format("prompt {}{} │ first {} s │ reply {}{} │ {}", usage.prompt, cached, first, usage.generated, rate, end),
        fmt::format("reply {}{} │ {}", usage.generated, rate, end)};
    const auto* fits = std::find_if(std::begin(forms), std::end(forms) - 1,
                                    [width](const std::string& form) { return width == 0 || text_width(form) <= width; });
    return *fits;
}

// Why the reply ends before the model ended it; empty where it did not.
std::string cut_note(const Reply& reply, const ModelInfo& info, bool chat) {
    if (reply.finish != FinishReason::length) return "";
    const char* place = !reply.in_thought ? "" : reply.text.empty() ? " inside a thought, before any answer"
                                                                    : " inside a thought";
    return fmt::format("note: the reply was cut{}: {}", place,
                       reply.context_full
                           ? fmt::format("the context of {} tokens is full; {}", info.context,
                                         chat ? "/clear or /undo make room" : "--ctx sets it")
                           : fmt::format("{} tokens are the most asked for; {} sets it", reply.usage.generated,
                                         chat ? "/set max-tokens N" : "--max-tokens"));
}

}  // namespace

Flow ReplyStream::take(const Token& token) {
    if (!token.thinking.empty() && thoughts_) {
        if (!thinking_) console_.dim(true);
        thinking_ = true;
        console_.aside_reply(token.thinking);
    }
    if (!token.text.empty() && !answer(token.text)) return Flow::stop;
    if (!token.tool_call) return Flow::go;
    const bool mid_line = wrote_ && !ends_line_;
    return answer(fmt::format("{}{} {}\n", mid_line ? "\n" : "", token.tool_call->name, token.tool_call->arguments))
               ? Flow::go
               : Flow::stop;
}

void ReplyStream::finish(bool answered) {
    end_thoughts();
    if (wrote_ ? !ends_line_ : answered) console_.write("\n");
}

bool ReplyStream::answer(std::string_view text) {
    end_thoughts();
    wrote_ = true;
    ends_line_ = text.back() == '\n';
    return console_.write_reply(text);
}

void ReplyStream::end_thoughts() {
    if (!thinking_) return;
    console_.dim(false);
    console_.aside("\n");
    thinking_ = false;
}

Json reply_json(const Reply& reply, const ModelInfo& info, std::span<const int32_t> prompt_tokens) {
    const Speed speed = speed_of(reply);
    Json json = {{"text", reply.text},
                 {"thinking", reply.thinking},
                 {"tool_calls", calls_to_json(reply.tool_calls)},
                 {"broken_calls", reply.broken_calls},
                 {"finish", finish_name(reply.finish)}};
    if (!prompt_tokens.empty()) json["prompt_tokens"] = prompt_tokens;
    json["tokens"] = reply.tokens;
    json["seed"] = reply.seed;
    json["usage"] = {{"prompt", reply.usage.prompt},
                     {"cached", reply.usage.cached},
                     {"generated", reply.usage.generated}};
    json["timings"] = {{"load_s", info.load_seconds},
                       {"prefill_s", reply.timings.prefill_s},
                       {"decode_s", reply.timings.decode_s},
                       {"prefill_tps", speed.prefill_tps},
                       {"decode_tps", speed.decode_tps},
                       {"decode_gbps", speed.decode_gbps},
                       {"ttft_s", reply.timings.ttft_s}};
    return json;
}

void show_timing(const Console& console, const Reply& reply, uint64_t computed, const ModelInfo& info) {
    const bool in_prompt = reply.finish == FinishReason::cancelled && reply.usage.generated == 0;
    console.dim(true);
    console.aside(in_prompt ? fmt::format("prompt {} of {} tok computed │ stopped", computed, reply.usage.prompt)
                            : timing_line(reply, info, console.note_width()));
    console.dim(false);
    console.aside("\n");
}

void note_flaws(const Console& console, const Reply& reply, const ModelInfo& info, bool chat) {
    if (const std::string cut = cut_note(reply, info, chat); !cut.empty()) console.note(cut);
    for (const std::string& call : reply.broken_calls)
        console.note("note: a call that is cut or cannot be read: " + in_quotes(call));
}

}  // namespace lapidary::cli
