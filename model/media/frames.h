// A 16 kHz waveform as rows of samples, one row per soft token: no window, no scaling, no spectrum. The
// embedder's RMSNorm comes next, in the forward pass.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

inline constexpr uint32_t kSamplesPerToken = 640;  // 40 ms at 16 kHz, the released checkpoint's value

struct FrameRows {
    size_t values_per_row = 0;
    size_t count = 0;
    std::vector<float> values;  // [count][values_per_row], the last row padded with zeros on the right
};

Result<FrameRows> samples_to_frames(std::span<const float> samples,
                                    uint32_t samples_per_token = kSamplesPerToken);

}  // namespace lapidary::model
