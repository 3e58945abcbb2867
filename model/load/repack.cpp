// One buffer per matrix that moves, filled by all threads.
#include "model/load/repack.h"

#include "base/try.h"

namespace lapidary::model {
namespace {

bool must_move(const TensorView& matrix, const runtime::CpuDevice& device) {
    return device.can_pack(matrix) || device.must_unpack(matrix);
}

std::vector<TensorView*> candidates(Weights& weights, const runtime::CpuDevice& device) {
    std::vector<TensorView*> out;
    if (must_move(weights.embed, device)) out.push_back(&weights.embed);
    for (LayerWeights& l : weights.layers)
        for (TensorView* t : matrices_of(l))
            if (*t && must_move(*t, device)) out.push_back(t);
    return out;
}

}  // namespace

std::array<TensorView*, 7> matrices_of(LayerWeights& l) {
    return {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down};
}

Result<void> arrange(TensorView& matrix, runtime::CpuDevice& device, std::vector<runtime::Buffer>& buffers,
                     const runtime::ByteSink& progress) {
    if (!must_move(matrix, device)) return {};
    LAP_ASSIGN(runtime::Packed moved, device.can_pack(matrix) ? device.pack(matrix, progress) : device.unpack(matrix, progress));
    matrix.buffer->discard(matrix.offset, static_cast<size_t>(matrix.bytes()));
    matrix = moved.view;
    buffers.push_back(std::move(moved.buffer));
    return {};
}

Result<void> repack(Weights& weights, runtime::CpuDevice& device,
                    const std::function<bool(uint64_t done, uint64_t total)>& progress) {
    const auto list = candidates(weights, device);
    uint64_t done = 0, total = 0;
    for (const TensorView* t : list) total += static_cast<uint64_t>(t->bytes());
    for (TensorView* t : list) {
        const auto bytes = static_cast<uint64_t>(t->bytes());
        LAP_TRY(arrange(*t, device, weights.buffers, [&](int64_t part) {
            return !progress || progress(done + static_cast<uint64_t>(part), total);
        }));
        done += bytes;
    }
    return {};
}

}  // namespace lapidary::model
