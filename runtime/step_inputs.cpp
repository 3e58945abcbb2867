// Offsets of a block of inputs.
#include "runtime/step_inputs.h"

#include <atomic>
#include <cstring>

namespace lapidary::runtime {

uint64_t new_identity() {
    static std::atomic<uint64_t> next{1};
    return next.fetch_add(1, std::memory_order_relaxed);
}

StepInputs::Offsets::Offsets(const StepShape& shape) {
    size_t used = 64;  // the position
    const auto take = [&](int64_t count, size_t size) {
        const size_t offset = used;
        used += (static_cast<size_t>(count) * size + 63) / 64 * 64;
        return offset;
    };
    const int64_t columns = shape.columns;
    ids = take(columns, sizeof(int32_t));
    if (shape.kind == StepKind::picture) second_ids = take(columns, sizeof(int32_t));
    if (shape.kind == StepKind::tokens) {
        for (size_t c = 0; c < 2; ++c) {
            kv[c] = take(1, sizeof(KvStep));
            first[c] = take(columns, sizeof(int32_t));
            last[c] = take(columns, sizeof(int32_t));
            cosine[c] = take(columns * shape.pairs[c], sizeof(float));
            sine[c] = take(columns * shape.pairs[c], sizeof(float));
        }
    }
    mask = take(shape.mask_words, sizeof(uint32_t));
    rows = take(columns * shape.row_width, sizeof(float));
    end = used;
}

StepInputs::StepInputs(std::byte* block, const StepShape& shape) 
    : block_(block), offsets_(shape), pairs_(shape.pairs), row_width_(shape.row_width) {}

void StepInputs::copy_to(const StepInputs& other) const { std::memcpy(other.block_, block_, offsets_.rows); }

size_t StepInputs::bytes(const StepShape& shape) { return Offsets(shape).end; }

}  // namespace lapidary::runtime
