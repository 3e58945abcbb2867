// Pictures without a tower: every patch goes through one linear projection between norms.
// Specification multimodal 4.5. LayerNorm eps is 1e-5 in every checkpoint, the RMS eps comes from the config.
#include <algorithm>

#include "model/embed_media.h"
#include "model/forward.h"

namespace lapidary::model {
namespace {

using runtime::Device;
using runtime::Entry;
using runtime::Format;
using runtime::MatmulPart;
using runtime::TensorView;
using runtime::view;

constexpr float kLayerNormEps = 1e-5f;

// N patches: pixels in, rows of width D out.
void note(const Network& net, Device& device, const Workspace::Media& m, int64_t n) {
    const VisionConfig& c = *net.config.vision;
    const VisionWeights& w = net.weights.vision;
    const TensorView pixels = view(m.input, Format::f32, n, c.patch_values());
    const TensorView embedded = view(m.embedded, Format::f32, n, c.embed_dim);
    const TensorView across = view(m.across, Format::f32, n, c.embed_dim);
    const TensorView down = view(m.down, Format::f32, n, c.embed_dim);
    device.layer("picture", -1);
    device.input_rows(Device::Rows::all, pixels);
    device.layer_norm(pixels, w.ln1_w, w.ln1_b, kLayerNormEps, pixels);
    const MatmulPart dense{.weights = w.dense, .out = embedded, .bias = w.dense_b};
    device.matmul({&dense, 1}, pixels);
    device.layer_norm(embedded, w.ln2_w, w.ln2_b, kLayerNormEps, embedded);
    device.embed_rows(w.pos_x, Entry::ids, 1.0f, across);
    device.embed_rows(w.pos_y, Entry::second_ids, 1.0f, down);
    device.add(across, down);
    device.add(embedded, across);
    device.layer_norm(embedded, w.pos_norm_w, w.pos_norm_b, kLayerNormEps, embedded);
    device.rms_norm(embedded, {}, c.rms_eps, embedded);
    const MatmulPart projection{.weights = w.projection, .out = view(m.out, Format::f32, n, net.config.hidden)};
    device.matmul({&projection, 1}, embedded);
}

Result<void> check_positions(const VisionConfig& c, const Patches& patches) {
    int32_t longest = 0;
    for (const auto* side : {&patches.x, &patches.y})
        for (const int32_t p : *side) longest = std::max(longest, p + 1);
    if (longest <= c.positions) return {};
    return Error{Errc::media_unsupported,
                 "the picture is " + std::to_string(longest) + " patches long, the model knows " +
                     std::to_string(c.positions) + " positions",
                 "crop the picture or set EngineOptions::image_tokens to less"};
}

}  // namespace

Result<std::vector<float>> embed_patches(const Network& net, Device& device, Workspace& ws, const Patches& patches) {
    const VisionConfig& c = *net.config.vision;
    LAP_TRY(check_positions(c, patches));
    LAP_TRY(ws.reserve_media(device, net.config));
    const auto width = static_cast<size_t>(c.patch_values());
    const auto fill = [&](const runtime::StepInputs& in, size_t first, size_t n) {
        std::copy_n(patches.values.data() + first * width, n * width, in.rows());
        std::copy_n(patches.x.data() + first, n, in.ids());
        std::copy_n(patches.y.data() + first, n, in.second_ids());
    };
    const runtime::StepShape shape{.kind = runtime::StepKind::picture,
                                   .row_width = c.patch_values(),
                                   .widest = std::max(c.patch_values(), c.embed_dim)};
    return embed_media(net, device, ws.media, patches.x.size(), shape, fill,
                       [&](int64_t n) { note(net, device, ws.media, n); });
}

}  // namespace lapidary::model
