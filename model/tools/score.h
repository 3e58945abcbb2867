// Runs a text through a model in overlapping contexts and hands out the logits that predict each of its
// tokens. What is computed from them (perplexity, divergence) is quality.cpp's business.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "lapidary/tools.h"

namespace lapidary::model {

inline constexpr uint32_t kDefaultWindow = 512;  // tokens of a context, if nothing else is said

// Tokens [begin, end) of the text stand in one context; those from `scored` on are predicted in it.
struct ScoreWindow {
    int64_t begin = 0, scored = 0, end = 0;
    bool operator==(const ScoreWindow&) const = default;
};
// `context` tokens are computed per window, BOS included where the model has one (`bos`); the last token of a
// window is predicted only. 1 <= stride <= context; tokens >= 1, without BOS >= 2.
std::vector<ScoreWindow> plan_windows(int64_t tokens, int64_t context, int64_t stride, bool bos);

// A text ready to be scored.
struct Passage {
    std::vector<int32_t> ids;  // without BOS
    int32_t bos = -1;          // stands before every window; -1: none
    std::vector<ScoreWindow> windows;
    Coverage coverage;
};
// Tokenizes or draws, and plans. context 0: 512, or less where the model ends earlier. Errors name what is
// missing.
Result<Passage> make_passage(const Engine& engine, const Excerpt& excerpt, uint32_t context, uint32_t stride);

// Row `index` (0 to coverage.tokens - 1) of logits, and the token that it should predict.
using ScoreSink = std::function<Result<void>(int64_t index, std::span<const float> logits, int32_t target)>;
// `progress` is called with `stage` per context, in tokens.
Result<void> score(const Engine& engine, const Passage& passage, std::string_view stage,
                   const ProgressSink& progress, const std::stop_token& cancel, const ScoreSink& sink);

}  // namespace lapidary::model
