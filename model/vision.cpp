// Pictures without a tower: every patch goes through one linear projection between norms.
// Specification multimodal 4.5. LayerNorm eps is 1e-5 in every checkpoint, the RMS eps comes from the config.
#include "model/forward.h"

#include "base/try.h"

namespace lapidary::model {
namespace {

using runtime::Format;
using runtime::MatmulPart;
using runtime::view;

constexpr float kLayerNormEps = 1e-5f;

}  // namespace

Result<std::vector<float>> embed_patches(const Network& net, runtime::Device& device, const Patches& patches) {
    const VisionConfig& c = *net.config.vision;
    const VisionWeights& w = net.weights.vision;
    const int64_t n = static_cast<int64_t>(patches.x.size());
    const auto rows = [&](int64_t width) { return device.allocate(static_cast<size_t>(n * width) * sizeof(float)); };

    std::vector<float> positions(static_cast<size_t>(n * c.embed_dim));
    for (int64_t i = 0; i < n; ++i) {
        const int32_t px = patches.x[static_cast<size_t>(i)], py = patches.y[static_cast<size_t>(i)];
        if (px >= c.positions || py >= c.positions)
            return Error{Errc::media_unsupported,
                         "the picture is " + std::to_string(std::max(px, py) + 1) + " patches long, the model knows " +
                             std::to_string(c.positions) + " positions",
                         "crop the picture or set EngineOptions::image_tokens to less"};
        for (int64_t j = 0; j < c.embed_dim; ++j)
            positions[static_cast<size_t>(i * c.embed_dim + j)] = w.pos_x.f32(px)[j] + w.pos_y.f32(py)[j];
    }

    LAP_ASSIGN(auto pixel_buffer, rows(c.patch_values()));
    LAP_ASSIGN(auto embed_buffer, rows(c.embed_dim));
    LAP_ASSIGN(auto position_buffer, rows(c.embed_dim));
    LAP_ASSIGN(auto out_buffer, rows(net.config.hidden));
    const auto pixels = view(pixel_buffer, Format::f32, n, c.patch_values());
    const auto embedded = view(embed_buffer, Format::f32, n, c.embed_dim);
    const auto position = view(position_buffer, Format::f32, n, c.embed_dim);
    const auto out = view(out_buffer, Format::f32, n, net.config.hidden);

    device.label("picture", -1);
    device.write(pixels, patches.values.data());
    device.write(position, positions.data());
    device.layer_norm(pixels, w.ln1_w, w.ln1_b, kLayerNormEps, pixels);
    const MatmulPart dense{w.dense, embedded, w.dense_b.f32()};
    device.matmul({&dense, 1}, pixels);
    device.layer_norm(embedded, w.ln2_w, w.ln2_b, kLayerNormEps, embedded);
    device.add(embedded, position);
    device.layer_norm(embedded, w.pos_norm_w, w.pos_norm_b, kLayerNormEps, embedded);
    device.rms_norm(embedded, {}, c.rms_eps, embedded);
    const MatmulPart projection{w.projection, out};
    device.matmul({&projection, 1}, embedded);
    LAP_TRY(device.wait(device.submit()));
    const float* values = device.read(out);
    return std::vector<float>(values, values + n * net.config.hidden);
}

}  // namespace lapidary::model
