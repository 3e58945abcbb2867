// One call of a shader or one meeting with the CPU, as operations note it, and the order that memory imposes on several.
#pragma once

#include <array>
#include <cstdint>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/vulkan/memory.h"
#include "runtime/vulkan/pipelines.h"

namespace lapidary::runtime::vulkan {

// Bytes [begin, end) of what `owner` identifies: a block of memory, or a table of segments. No owner: nothing is there,
// and the shader gets address 0.
struct Range {
    const void* owner = nullptr;
    uint64_t begin = 0, end = 0;
    VkDeviceAddress address = 0;     // of `begin`
    uint64_t pitch = 0, width = 0;   // of columns: only `width` bytes from every pitch on; pitch 0: all bytes
};

// A buffer's bytes from `offset` on.
inline Range range_of(const BufferData& buffer, uint64_t offset, uint64_t bytes) {
    const VulkanBuffer& b = vulkan_buffer(buffer);
    const uint64_t begin = b.offset() + offset;
    return {&b.block(), begin, begin + bytes, b.address() + offset};
}
// Numbers of rows, columns and values as shaders take them: 32 bits hold all that a binding's limit admits.
inline uint32_t u32(int64_t n) { return static_cast<uint32_t>(n); }
// From a row of f32 to the next.
inline uint32_t floats_apart(const TensorView& v) { return u32(v.row_bytes / 4); }

// All rows of a view.
inline Range range_of(const TensorView& v) {
    if (!v) return {};
    return range_of(*v.buffer, v.offset, static_cast<uint64_t>(v.rows * v.row_bytes));
}

// give: the CPU begins with what it reads (the first range) and writes (the others); take: it must be done with that.
enum class Meeting : uint8_t { none, give, take };

struct Dispatch {
    PipelineKey pipeline;
    std::array<uint32_t, 3> groups = {1, 1, 1};
    std::vector<Range> ranges;       // in the order of the row's pointers
    std::vector<std::byte> scalars;  // as many bytes as the row says
    uint32_t operation = 0;          // which operation of the step it belongs to
    Meeting meeting = Meeting::none; // instead of a shader
};

// `scalars`: a struct of 32-bit words without padding.
template <class Scalars>
Dispatch make_dispatch(PipelineKey pipeline, std::array<uint32_t, 3> groups, std::vector<Range> ranges,
                       const Scalars& scalars) {
    static_assert(sizeof(Scalars) % 4 == 0);
    Dispatch d{std::move(pipeline), groups, std::move(ranges), std::vector<std::byte>(sizeof(Scalars))};
    std::memcpy(d.scalars.data(), &scalars, sizeof(Scalars));
    return d;
}

// Before which dispatches a barrier must stand: where one reads what was written since the last barrier, or writes what was
// read or written since; and always before the CPU begins.
std::vector<bool> place_barriers(std::span<const Dispatch> dispatches);

// The first pair of dispatches that conflict without a barrier between them, found pair by pair and so independent of
// place_barriers, or that touch what the CPU computes with between give and take; empty: there is none. Also refuses a dispatch
// that is not of its row's form.
std::optional<std::string> find_hazard(std::span<const Dispatch> dispatches, const std::vector<bool>& barriers);

}  // namespace lapidary::runtime::vulkan
