// First each network's last hidden states, then both heads side by side, a few tokens and a slab of the
// vocabulary at a time; see layerwise.h. Axes: T tokens, D width, V vocabulary.
#include "model/tools/layerwise.h"

#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "kernels/panels.h"
#include "model/forward.h"
#include "model/tools/kl_stats.h"
#include "model/load/repack.h"

namespace lapidary::model {
namespace {

using runtime::CpuDevice;
using runtime::Format;
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

// Layer `index` with its matrices as the device wants them, and the memory that this took.
Result<void> run_one(const LoadedModel& model, Weights& weights, size_t index, CpuDevice& device,
                     const Step& step, KvCache& kv, Workspace& ws, Progress& progress) {
    std::vector<runtime::Buffer> moved;
    int64_t bytes = 0;
    for (TensorView* matrix : matrices_of(weights.layers[index])) {
        if (!*matrix) continue;
        LAP_TRY(arrange(*matrix, device, moved));
        bytes += matrix->bytes();
    }
    run_layer({model.config, weights}, device, index, step, step.shape.columns, kv, ws);
    LAP_TRY(device.wait(device.submit()));
    weights.layers[index] = model.weights.layers[index];
    for (TensorView* matrix : matrices_of(weights.layers[index]))
        if (*matrix) give_back(*matrix);
    return progress.add(bytes);
}

// Normed states before the head, [T, D].
Result<std::vector<float>> last_states(const LoadedModel& model, std::span<const int32_t> ids,
                                       CpuDevice& device, Progress& progress) {
    const ModelConfig& config = model.config;
    const auto columns = static_cast<int32_t>(ids.size());
    Weights weights = model.weights;
    Workspace ws;
    LAP_ASSIGN(KvCache kv, KvCache::create(device, config, runtime::KvFormat::f16, columns));
    LAP_TRY(ws.reserve(device, config, columns));
    LAP_TRY(kv.reserve(columns));
    LAP_TRY(kv.reserve_scratch(ws.kv, columns));
    Step step;
    build_step(config, kv, 0, ids, {}, columns, /*blocks_everywhere=*/false, ws, step);
    device.begin(step.shape, step.params);
    const TensorView x = view(ws.x, Format::f32, columns, config.hidden);
    device.embed_rows(weights.embed, std::sqrt(static_cast<float>(config.hidden)), x);
    for (size_t i = 0; i < weights.layers.size(); i++)
        LAP_TRY(run_one(model, weights, i, device, step, kv, ws, progress));
    device.rms_norm(x, weights.final_norm, config.rms_eps, x);
    device.end();
    LAP_TRY(device.wait(device.submit()));
    const float* values = device.read(x);
    return std::vector<float>(values, values + int64_t{columns} * config.hidden);
}

// out [T, V] = states [T, D] times the tied head.
Result<void> head(const LoadedModel& model, const TensorView& states, CpuDevice& device,
                  const TensorView& out, Progress& progress) {
    const ModelConfig& config = model.config;
    for (int64_t begin = 0; begin < config.vocab; begin += kHeadRows) {
        const int64_t end = std::min<int64_t>(begin + kHeadRows, config.vocab);
        std::vector<runtime::Buffer> moved;
        const TensorView source = model.weights.embed.row_range(begin, end);
        TensorView rows = source;
        LAP_TRY(arrange(rows, device, moved));
        TensorView slice = out.first_cols(end - begin);
        slice.offset += static_cast<size_t>(begin) * sizeof(float);
        const runtime::MatmulPart part{rows, slice};
        device.matmul({&part, 1}, states);
        LAP_TRY(device.wait(device.submit()));
        give_back(source);
        LAP_TRY(progress.add(source.bytes()));
    }
    if (config.soft_cap > 0) device.soft_cap(out, config.soft_cap);
    return device.wait(device.submit());
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
                                        std::span<const int32_t> ids, CpuDevice& device,
                                        const std::function<bool(uint64_t done, uint64_t total)>& progress) {
    const LoadedModel* models[] = {&base, &other};
    Progress counted(progress, bytes_read(base, ids.size()) + bytes_read(other, ids.size()));
    std::vector<float> states[2];
    for (size_t m = 0; m < 2; m++) {
        LAP_ASSIGN(states[m], last_states(*models[m], ids, device, counted));
    }
    const int64_t width = base.config.hidden, vocab = base.config.vocab;
    LAP_ASSIGN(const runtime::Buffer input,
               device.allocate(static_cast<size_t>(kHeadTokens * width) * sizeof(float)));
    runtime::Buffer logits[2];
    for (runtime::Buffer& buffer : logits) {
        LAP_ASSIGN(buffer, device.allocate(static_cast<size_t>(kHeadTokens * vocab) * sizeof(float)));
    }
    KlStats stats;
    for (size_t first = 0; first < ids.size(); first += kHeadTokens) {
        const auto count = std::min<size_t>(kHeadTokens, ids.size() - first);
        const TensorView x = view(input, Format::f32, static_cast<int64_t>(count), width);
        for (size_t m = 0; m < 2; m++) {
            device.write(x, states[m].data() + static_cast<int64_t>(first) * width);
            LAP_TRY(head(*models[m], x, device, view(logits[m], Format::f32, x.rows, vocab), counted));
        }
        for (size_t t = 0; t < count; t++) {
            const auto row = [&](size_t m) {
                return std::span(view(logits[m], Format::f32, x.rows, vocab).f32(static_cast<int64_t>(t)),
                                 static_cast<size_t>(vocab));
            };
            LAP_TRY(stats.add(row(0), row(1), first + t + 1 < ids.size() ? ids[first + t + 1] : -1));
        }
    }
    return stats.figures();
}

}  // namespace lapidary::model
