// One panel buffer per matrix, filled by all threads.
#include "model/load/repack.h"

#include <vector>

namespace lapidary::model {
namespace {

std::vector<TensorView*> candidates(Weights& weights, const runtime::CpuDevice& device) {
    std::vector<TensorView*> out;
    if (device.can_pack(weights.embed)) out.push_back(&weights.embed);
    for (LayerWeights& l : weights.layers)
        for (TensorView* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down})
            if (*t && device.can_pack(*t)) out.push_back(t);
    return out;
}

}  // namespace

Result<void> repack(Weights& weights, runtime::CpuDevice& device,
                    const std::function<bool(uint64_t done, uint64_t total)>& progress) {
    const auto list = candidates(weights, device);
    uint64_t done = 0, total = 0;
    for (const TensorView* t : list) total += static_cast<uint64_t>(t->bytes());
    for (TensorView* t : list) {
        LAP_ASSIGN(const runtime::Packed packed, device.pack(*t));
        t->buffer->discard(t->offset, static_cast<size_t>(t->bytes()));
        done += static_cast<uint64_t>(t->bytes());
        *t = packed.view;
        weights.buffers.push_back(packed.buffer);
        if (progress && !progress(done, total)) return Error{Errc::cancelled, "loading was stopped"};
    }
    return {};
}

}  // namespace lapidary::model
