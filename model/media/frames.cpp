// Splits a waveform into zero-padded rows.
#include "model/media/frames.h"

#include <algorithm>
#include <new>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/placeholders.h"

namespace lapidary::model {

Result<FrameRows> samples_to_frames(std::span<const float> samples, uint32_t samples_per_token) {
    LAP_ASSIGN(const size_t count, audio_soft_tokens(samples.size(), samples_per_token));
    FrameRows frames{samples_per_token, count, {}};
    try {
        frames.values.resize(count * samples_per_token);
    } catch (const std::bad_alloc&) {
        return Error{Errc::out_of_memory, concat("no memory for ", count, " audio rows"), "use a shorter recording"};
    }
    std::copy(samples.begin(), samples.end(), frames.values.begin());
    return frames;
}

}  // namespace lapidary::model
