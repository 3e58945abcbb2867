// A reply as people and programs get it: streamed as it comes, a line of timings, a JSON object. `run` and `chat` share it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "apps/common/output.h"
#include "lapidary/lapidary.h"

namespace lapidary::cli {

// Sends the answer, and calls of tools, a line each, to stdout, and the thoughts, dimmed, to stderr.
class ReplyStream {
  public:
    explicit ReplyStream(Console& console, bool thoughts = true) : console_(console), thoughts_(thoughts) {}

    Flow take(const Token& token);
    // The answer ends its line, whatever ended the answer; where an error came before it, there is no line.
    void finish(bool answered);

  private:
    bool answer(std::string_view text);
    void end_thoughts();

    Console& console_;
    bool thoughts_;
    bool thinking_ = false, wrote_ = false, ends_line_ = false;
};

// The object of `run --json`; without ids of the prompt where there are none to tell.
nlohmann::ordered_json reply_json(const Reply& reply, const ModelInfo& info, std::span<const int32_t> prompt_tokens = {});
// Dimmed, on stderr. `computed`: tokens of the prompt, for a reply that was stopped before the prompt was through.
void show_timing(const Console& console, const Reply& reply, uint64_t computed, const ModelInfo& info);
// Why the reply ends before the model ended it, and calls that nobody can read; `chat`: what to do is one of its commands.
void note_flaws(const Console& console, const Reply& reply, const ModelInfo& info, bool chat = false);

}  // namespace lapidary::cli
