// In double where Python computes in double, in integers where it does; see video_sampling.h.
#include "model/media/video_sampling.h"

#include <algorithm>
#include <cmath>

#include "base/describe.h"

namespace lapidary::model {

Result<void> check_choice(const FrameChoice& choice) {
    constexpr double kMostFps = 1000;
    const auto wrong = [](std::string what, std::string hint) {
        return Error{Errc::invalid_argument, std::move(what), std::move(hint)};
    };
    if (choice.frames.has_value() == choice.fps.has_value())
        return wrong("a number of frames and a rate of frames exclude each other", "give one of them");
    if (choice.frames && (*choice.frames < 1 || *choice.frames > 1 << 16))
        return wrong(concat("a video was asked for ", *choice.frames, " frames"), "from 1 to 65536 frames can be taken");
    if (choice.fps && !(*choice.fps > 0 && *choice.fps <= kMostFps))
        return wrong(concat("a video was asked for ", *choice.fps, " frames per second"), "give more than 0 and at most 1000");
    return {};
}

std::vector<int64_t> sampled_frames(int64_t total, double source_fps, const FrameChoice& choice) {
    int64_t count = choice.frames.value_or(0);
    if (choice.fps) {
        const double wanted = static_cast<double>(total) / source_fps * *choice.fps;
        count = wanted < static_cast<double>(total) ? std::max<int64_t>(1, static_cast<int64_t>(wanted)) : total;
    }
    count = std::min(count, total);
    std::vector<int64_t> indices(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) indices[static_cast<size_t>(i)] = i * total / count;
    return indices;
}

std::string frame_time(int64_t index, double source_fps) {
    const auto seconds = static_cast<int64_t>(std::floor(static_cast<double>(index) / source_fps));
    const auto two_digits = [](int64_t value) { return concat(value < 10 ? "0" : "", value); };
    return concat(two_digits(seconds / 60), ":", two_digits(seconds % 60));
}

}  // namespace lapidary::model
