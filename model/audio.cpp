// Sound without a tower: 40 ms of raw samples, normed, through one linear projection.
// Specification multimodal 5.
#include "model/forward.h"

#include "base/try.h"

namespace lapidary::model {

Result<std::vector<float>> embed_frames(const Network& net, runtime::Device& device, std::span<const float> frames) {
    using runtime::Format;
    using runtime::view;
    const AudioConfig& c = *net.config.audio;
    const int64_t n = static_cast<int64_t>(frames.size()) / c.samples_per_token;
    LAP_ASSIGN(auto in_buffer, device.allocate(frames.size() * sizeof(float)));
    LAP_ASSIGN(auto out_buffer, device.allocate(static_cast<size_t>(n * net.config.hidden) * sizeof(float)));
    const auto in = view(in_buffer, Format::f32, n, c.samples_per_token);
    const auto out = view(out_buffer, Format::f32, n, net.config.hidden);
    device.label("sound", -1);
    device.write(in, frames.data());
    device.rms_norm(in, {}, c.rms_eps, in);
    const runtime::MatmulPart projection{net.weights.audio.projection, out};
    device.matmul({&projection, 1}, in);
    LAP_TRY(device.wait(device.submit()));
    const float* values = device.read(out);
    return std::vector<float>(values, values + n * net.config.hidden);
}

}  // namespace lapidary::model
