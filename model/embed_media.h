// Rows of pictures and recordings in pieces of a fixed size, so that one recording of the device serves them all.
#pragma once

#include <algorithm>
#include <vector>

#include "model/forward.h"
#include "runtime/run_recorded.h"

namespace lapidary::model {

// `count` rows of width D. fill(inputs, first, n) gives the inputs of rows [first, first + n); note(n) names the
// operations, whose result is media.out.
template <class Fill, class Note>
Result<std::vector<float>> embed_media(const Network& net, runtime::Device& device, const Workspace::Media& media,
                                       size_t count, runtime::StepShape shape, const Fill& fill, const Note& note) {
    const auto width = static_cast<size_t>(net.config.hidden);
    std::vector<float> out(count * width);
    for (size_t first = 0; first < count; first += kMediaRows) {
        const size_t n = std::min(count - first, static_cast<size_t>(kMediaRows));
        shape.columns = static_cast<int32_t>(n);
        const runtime::StepKey key{.shape = shape, .weights = net.weights.identity, .workspace = media.identity};
        LAP_TRY(runtime::run_recorded(
            device, key, {}, [&](const runtime::StepInputs& in) { fill(in, first, n); },
            [&] { note(static_cast<int64_t>(n)); }));
        const auto rows = view(media.out, runtime::Format::f32, static_cast<int64_t>(n), net.config.hidden);
        LAP_ASSIGN(const float* values, runtime::read_floats(device, rows));
        std::copy_n(values, n * width, out.data() + first * width);
    }
    return out;
}

}  // namespace lapidary::model
