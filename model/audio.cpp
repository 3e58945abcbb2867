// Sound without a tower: 40 ms of raw samples, normed, through one linear projection.
// Specification multimodal 5.
#include <algorithm>

#include "model/embed_media.h"
#include "model/forward.h"

namespace lapidary::model {

Result<std::vector<float>> embed_frames(const Network& net, runtime::Device& device, Workspace& ws,
                                        std::span<const float> frames) {
    const AudioConfig& c = *net.config.audio;
    const auto width = static_cast<size_t>(c.samples_per_token);
    LAP_TRY(ws.reserve_media(device, net.config));
    const auto fill = [&](const runtime::StepInputs& in, size_t first, size_t n) {
        std::copy_n(frames.data() + first * width, n * width, in.rows());
    };
    const auto note = [&](int64_t n) {
        const auto rows = view(ws.media.input, runtime::Format::f32, n, c.samples_per_token);
        device.layer("sound", -1);
        device.input_rows(runtime::Device::Rows::all, rows);
        device.rms_norm(rows, {}, c.rms_eps, rows);
        const runtime::MatmulPart projection{.weights = net.weights.audio.projection,
                                             .out = view(ws.media.out, runtime::Format::f32, n, net.config.hidden)};
        device.matmul({&projection, 1}, rows);
    };
    const runtime::StepShape shape{.kind = runtime::StepKind::sound,
                                   .row_width = c.samples_per_token,
                                   .widest = c.samples_per_token};
    return embed_media(net, device, ws.media, frames.size() / width, shape, fill, note);
}

}  // namespace lapidary::model
