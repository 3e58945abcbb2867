// The greatest scores of rows on the GPU; see top_k.h and shaders/top_k.comp.
#include "runtime/vulkan/top_k.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr uint32_t kItems = 2048;  // that a workgroup sorts

uint32_t parts_of(uint32_t count, uint32_t each) { return (count + each - 1) / each; }

uint64_t list_bytes(int64_t rows, uint32_t lists, int32_t k) {
    return static_cast<uint64_t>(rows) * lists * static_cast<uint64_t>(k) * 2 * sizeof(uint32_t);
}

Range part_of(const Range& r, uint64_t from, uint64_t bytes) {
    return {r.owner, r.begin + from, r.begin + from + bytes, r.address + from};
}

}  // namespace

// The lists of the slices, and those of the next pass: later ones take turns in the two places.
uint64_t top_k_scratch_bytes(int64_t rows, int64_t vocab, int32_t k) {
    const uint32_t lists = parts_of(static_cast<uint32_t>(vocab), kItems);
    if (lists == 1) return 0;
    return list_bytes(rows, lists, k) + list_bytes(rows, parts_of(lists, kItems / static_cast<uint32_t>(k)), k);
}

void note_top_k(const TensorView& scores, int32_t k, const TensorView& to, const StepMemory& memory, const Range& scratch,
                std::vector<Dispatch>& out) {
    const auto vocab = static_cast<uint32_t>(scores.cols), rows = static_cast<uint32_t>(scores.rows);
    const bool masked = memory.inputs->has_mask();
    const Range mask = masked ? memory.of(memory.inputs->mask(), uint64_t{parts_of(vocab, 32)} * 4) : Range{};
    const uint64_t second = list_bytes(scores.rows, parts_of(vocab, kItems), k);
    Range from;
    uint32_t lists = 0;  // in `from`; none before the first pass
    for (uint32_t pass = 0; lists != 1; ++pass) {
        const uint32_t left = pass == 0 ? parts_of(vocab, kItems) : parts_of(lists, kItems / static_cast<uint32_t>(k));
        const Range results = left == 1 ? range_of(to) : part_of(scratch, pass % 2 == 0 ? 0 : second, list_bytes(scores.rows, left, k));
        struct {
            uint32_t vocab, stride, k, lists, masked, to_stride;
        } const scalars{vocab, static_cast<uint32_t>(scores.row_bytes / 4), static_cast<uint32_t>(k), lists, masked ? 1u : 0u,
                        static_cast<uint32_t>(to.row_bytes / 4)};
        out.push_back(make_dispatch({Shader::top_k, {256, pass == 0 ? 1u : 0u, left == 1 ? 1u : 0u}}, {left, rows, 1},
                                    {range_of(scores), mask, from, results}, scalars));
        from = results;
        lists = left;
    }
}

}  // namespace lapidary::runtime::vulkan
