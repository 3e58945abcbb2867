// Which frames of a video a model is shown, and the time that stands before each: the arithmetic of transformers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

inline constexpr double kUnknownFps = 24;  // what transformers takes where a container does not say

// One of the two is set.
struct FrameChoice {
    std::optional<int64_t> frames = {};  // evenly spread
    std::optional<double> fps = {};      // so many per second
};

// invalid_argument unless exactly one is set and makes sense.
Result<void> check_choice(const FrameChoice& choice);

// Indices of frames out of `total`, ascending: i * total / n of n frames; of fps, n = total / source_fps * fps, at least one.
// All frames where n is more than there are.
std::vector<int64_t> sampled_frames(int64_t total, double source_fps, const FrameChoice& choice);

// "01:07" of a frame: minutes, which are not wrapped into hours, and seconds, both floored.
std::string frame_time(int64_t index, double source_fps);

}  // namespace lapidary::model
