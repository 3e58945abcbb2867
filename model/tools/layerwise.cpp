// First each network's last hidden states, then both heads side by side, a few tokens and a slab of the
// vocabulary at a time; see layerwise.h. Axes: T tokens, D width, V vocabulary.
#include "model/tools/layerwise.h"

#include <algorithm>

#include "base/try.h"
#include "kernels/panels.h"
#include "model/forward.h"
#include "model/load/place.h"
#include "model/tools/kl_stats.h"
#include "runtime/run_recorded.h"

namespace lapidary::model {
namespace {

using runtime::Device;
using runtime::Format;
using runtime::StepKey;
using runtime::StepKind;
using runtime::view;

constexpr int32_t kHeadTokens = 128;  // logits of both models at 262,144 pieces: 2 x 134 MB
constexpr int64_t kHeadRows = 8192;   // vocabulary at a time: 63 MB of bf16 at width 3840
static_assert(kHeadRows % kernels::kPanel == 0);

void give_back(const TensorView& matrix) {
    matrix.buffer->discard(matrix.offset, static_cast<size_t>(matrix.rows * matrix.row_bytes));
}

class Progress {
  public:
    using Sink = std::function<bool(uint64_t done, uint64_t total)>;
    Progress(const Sink& sink, uint64_t total) : sink_(sink), total_(total) {}
    Result<void> add(int64_t bytes) {
        done_ += static_cast<uint64_t>(bytes);
        if (sink_ && !sink_(std::min(done_, total_), total_))
            return Error{Errc::cancelled, "the comparison was stopped"};
        return {};
    }

  private:
    const Sink& sink_;
    uint64_t done_ = 0, total_;
};

// Layer `index` with its weights as the device wants them, and the memory that this took.
Result<void> run_one(const LoadedModel& model, int32_t index, Device& device, const Step& step, KvCache& kv,
                     Workspace& ws, Progress& progress) {
    LAP_ASSIGN(const Weights placed, place_weights(model.weights, {index, index + 1, false}, device, {}));
    LAP_TRY(run_stage({device, {model.config, placed}, kv, ws, index, index + 1}, step, nullptr, {}));
    LayerWeights layer = model.weights.layers[static_cast<size_t>(index)];
    int64_t bytes = 0;
    for (TensorView* matrix : matrices_of(layer)) {
        if (!*matrix) continue;
        give_back(*matrix);
        bytes += matrix->bytes();
    }
    return progress.add(bytes);
}

// Normed states before the head, [T, D].
Result<std::vector<float>> last_states(const LoadedModel& model, std::span<const int32_t> ids, Device& device,
                                       Progress& progress) {
    const ModelConfig& config = model.config;
    const Step step{.ids = ids, .rows_wanted = static_cast<int32_t>(ids.size()), .head = false};
    Workspace ws;
    const auto layers = static_cast<int32_t>(config.layers.size());
    LAP_ASSIGN(KvCache kv, KvCache::create(device, config, 0, layers, runtime::KvFormat::f16, step.columns()));
    LAP_TRY(ws.reserve(device, config, step.columns()));
    LAP_TRY(kv.reserve(0, step.columns()));
    LAP_TRY(kv.reserve_scratch(ws.kv, step.columns()));
    for (int32_t i = 0; i < layers; i++)
        LAP_TRY(run_one(model, i, device, step, kv, ws, progress));
    const TensorView x = view(ws.x, Format::f32, step.columns(), config.hidden);
    StepKey key{.shape = shape_of(config, step, false), .weights = runtime::new_identity()};
    key.shape.kind = StepKind::rows;
    LAP_TRY(runtime::run_recorded(device, key, {}, [](const auto&) {},
                                  [&] { device.rms_norm(x, model.weights.final_norm, config.rms_eps, x); }));
    LAP_ASSIGN(const float* values, runtime::read_floats(device, x));
    return std::vector<float>(values, values + x.rows * x.cols);
}

// out [T, V] = states [T, D] times the tied head; `input` [T, D] is scratch.
Result<void> head(const LoadedModel& model, std::span<const float> states, const TensorView& input,
                  Device& device, const TensorView& out, Progress& progress) {
    const ModelConfig& config = model.config;
    for (int64_t begin = 0; begin < config.vocab; begin += kHeadRows) {
        const int64_t end = std::min<int64_t>(begin + kHeadRows, config.vocab);
        std::vector<runtime::Buffer> moved;
        const TensorView source = model.weights.embed.row_range(begin, end);
        TensorView rows = source;
        LAP_TRY(place_matrix(rows, device, moved));
        TensorView slice = out.first_cols(end - begin);
        slice.offset += static_cast<size_t>(begin) * sizeof(float);
        const runtime::MatmulPart part{rows, slice};
        const auto note = [&] {
            device.input_rows(Device::Rows::all, input);
            device.matmul({&part, 1}, input);
            if (config.soft_cap > 0) device.soft_cap(slice, config.soft_cap);
        };
        const runtime::StepShape shape{.kind = StepKind::rows,
                                       .columns = static_cast<int32_t>(input.rows),
                                       .row_width = config.hidden,
                                       .widest = config.hidden};
        LAP_TRY(runtime::run_recorded(
            device, {.shape = shape, .weights = runtime::new_identity()}, {},
            [&](const auto& in) { std::copy(states.begin(), states.end(), in.rows()); }, note));
        give_back(source);
        LAP_TRY(progress.add(source.bytes()));
    }
    return {};
}

uint64_t bytes_read(const LoadedModel& model, size_t tokens) {
    const int64_t passes = (static_cast<int64_t>(tokens) + kHeadTokens - 1) / kHeadTokens;
    int64_t bytes = passes * model.weights.embed.bytes();
    Weights weights = model.weights;
    for (LayerWeights& layer : weights.layers)
        for (const TensorView* matrix : matrices_of(layer))
            if (*matrix) bytes += matrix->bytes();
    return static_cast<uint64_t>(bytes);
}

}  // namespace

Result<Divergence> layerwise_divergence(const LoadedModel& base, const LoadedModel& other,
                                        std::span<const int32_t> ids, Device& device,
                                        const std::function<bool(uint64_t done, uint64_t total)>& progress) {
    const LoadedModel* models[] = {&base, &other};
    Progress counted(progress, bytes_read(base, ids.size()) + bytes_read(other, ids.size()));
    std::vector<float> states[2];
    for (size_t m = 0; m < 2; m++) {
        LAP_ASSIGN(states[m], last_states(*models[m], ids, device, counted));
    }
    const int64_t width = base.config.hidden, vocab = base.config.vocab;
    const auto rows = [&](int64_t columns) {
        return device.allocate(static_cast<size_t>(kHeadTokens * columns) * sizeof(float),
                               runtime::MemoryKind::readback);
    };
    LAP_ASSIGN(const runtime::Buffer input, rows(width));
    runtime::Buffer logits[2];
    for (runtime::Buffer& buffer : logits) {
        LAP_ASSIGN(buffer, rows(vocab));
    }
    KlStats stats;
    for (size_t first = 0; first < ids.size(); first += kHeadTokens) {
        const auto count = std::min<size_t>(kHeadTokens, ids.size() - first);
        const TensorView x = view(input, Format::f32, static_cast<int64_t>(count), width);
        for (size_t m = 0; m < 2; m++) {
            const auto part = std::span(states[m]).subspan(first * static_cast<size_t>(width),
                                                           count * static_cast<size_t>(width));
            LAP_TRY(head(*models[m], part, x, device, view(logits[m], Format::f32, x.rows, vocab), counted));
        }
        for (size_t t = 0; t < count; t++) {
            const auto row = [&](size_t m) {
                const auto at = static_cast<int64_t>(t);
                return runtime::read_floats(device, view(logits[m], Format::f32, x.rows, vocab).row_range(at, at + 1));
            };
            LAP_ASSIGN(const float* ours, row(0));
            LAP_ASSIGN(const float* theirs, row(1));
            const auto count_of = static_cast<size_t>(vocab);
            LAP_TRY(stats.add({ours, count_of}, {theirs, count_of}, first + t + 1 < ids.size() ? ids[first + t + 1] : -1));
        }
    }
    return stats.figures();
}

}  // namespace lapidary::model
