// The greatest scores of a row: every slice of the vocabulary keeps its own, then they are merged.
#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "runtime/trace/recorder.h"

namespace lapidary::runtime {
namespace {

constexpr int64_t kSlice = 16384;  // scores that one item looks at

// A total order: greater scores first, NaN before all, then lower ids.
bool goes_before(const Candidate& a, const Candidate& b) {
    const bool a_nan = a.score != a.score, b_nan = b.score != b.score;
    if (a_nan != b_nan) return a_nan;
    return a_nan || a.score == b.score ? a.id < b.id : a.score > b.score;
}

// The best k of scores [begin, end) as a heap whose root goes last; returns how many there are.
int64_t best_of(const float* scores, int64_t begin, int64_t end, const uint32_t* mask, int64_t k, Candidate* heap) {
    int64_t count = 0;
    float worst = -std::numeric_limits<float>::infinity();
    for (int64_t i = begin; i < end; ++i) {
        if (count == k && scores[i] <= worst) continue;  // an equal one has a lower id already
        if (mask && !(mask[i / 32] >> (i % 32) & 1)) continue;
        const Candidate c{static_cast<int32_t>(i), scores[i]};
        if (count < k) {
            heap[count++] = c;
            std::push_heap(heap, heap + count, goes_before);
        } else if (goes_before(c, heap[0])) {
            std::pop_heap(heap, heap + k, goes_before);
            heap[k - 1] = c;
            std::push_heap(heap, heap + k, goes_before);
        }
        if (count == k) worst = heap[0].score;
    }
    return count;
}

}  // namespace

void CpuDevice::top_k(const TensorView& scores, int32_t k, const TensorView& out) {
    const Recorded op(recorder_, "top_k", [&] { return move_cost(scores, 1); });
    const int64_t vocab = scores.cols, slices = (vocab + kSlice - 1) / kSlice;
    auto* const found = reinterpret_cast<Candidate*>(host_bytes(*scratch_.partials));  // [rows][slices][k]
    const uint32_t* mask = inputs_.has_mask() ? inputs_.mask() : nullptr;
    pool_.run(scores.rows * slices, [&](int64_t item, int) {
        const int64_t begin = item % slices * kSlice, end = std::min(begin + kSlice, vocab);
        Candidate* const mine = found + item * k;
        const int64_t count = best_of(host_floats(scores, item / slices), begin, end, mask, k, mine);
        std::fill(mine + count, mine + k, Candidate{-1, 0});
    });
    for (int64_t t = 0; t < scores.rows; ++t) {
        Candidate* const begin = found + t * slices * k;
        Candidate* const end = std::remove_if(begin, begin + slices * k, [](const Candidate& c) { return c.id < 0; });
        const int64_t count = std::min<int64_t>(k, end - begin);
        std::partial_sort(begin, begin + count, end, goes_before);
        auto* const row = reinterpret_cast<Candidate*>(host_bytes(out) + t * out.row_bytes);
        std::copy(begin, begin + count, row);
        std::fill(row + count, row + k, Candidate{-1, 0});
    }
}

}  // namespace lapidary::runtime
