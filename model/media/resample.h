// Streaming down-mix and resampling to 16 kHz mono, block by block, so that memory grows with what was really
// read and never with what a header claims. Used by audio_file.cpp only.
#pragma once

#include <samplerate.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

class Resampler {
  public:
    // Checks channels (1 to 64) and rate (1 to 768 kHz). The result may have at most `max_samples`.
    static Result<Resampler> create(uint32_t channels, uint32_t sample_rate, std::string_view name,
                                    uint64_t max_samples);
    // Refuses a recording of so many frames now if push() would in the end.
    Result<void> expect(uint64_t frames) const;

    // Whole frames, interleaved. Refuses values that are not finite or beyond 2^31 (no PCM scale reaches
    // that).
    Result<void> push(std::span<const float> interleaved);
    // Flushes the filter. The result has ceil(frames * 16000 / rate) samples.
    Result<std::vector<float>> finish();

  private:
    struct Delete {
        void operator()(SRC_STATE* state) const { src_delete(state); }
    };

    Resampler() = default;
    Result<void> mix(std::span<const float> interleaved);
    Result<void> convert(bool end_of_input);

    std::string name_;
    uint32_t channels_ = 1;
    uint32_t sample_rate_ = 0;
    uint64_t frames_ = 0, max_samples_ = 0;
    std::unique_ptr<SRC_STATE, Delete> state_;  // null when the rate is 16 kHz already
    std::vector<float> mono_;                   // the current block
    std::vector<float> samples_;                // the result so far
};

}  // namespace lapidary::model
