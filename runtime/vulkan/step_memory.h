// Where on the device a running step finds its inputs, the segments of its caches and scratch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/step_inputs.h"
#include "runtime/vulkan/dispatch.h"

namespace lapidary::runtime::vulkan {

// A segment of a cache as shaders see it. Rewritten before every run: a cache may have grown or moved since.
struct SegmentEntry {
    VkDeviceAddress address = 0;  // of its first byte; 0: no rows of this device lie there
    uint32_t rows = 0;            // KvSegment::rows
    uint32_t pad = 0;
};

struct StepMemory {
    // The host's block, for its offsets: its values are those of some step, and a recording is replayed with others.
    const StepInputs* inputs = nullptr;
    int32_t columns = 0;  // of the step
    Range block;          // the same bytes on the device
    // By KvClass: SegmentEntry[kMaxSpans], by number of segment; in a window's table entry kScratchSegment is the step's
    // scratch, where there is one.
    Range segments[2];
    Range partials;       // what split attention needs: attention_scratch_bytes()
    // Query rows of a workgroup of attention at most: 1, 2, 4 or 8, which changes no bits. Software devices compile for
    // seconds what is unrolled for 8.
    int32_t attention_tile = 8;

    // Bytes of the host's block, there.
    Range of(const void* host, uint64_t bytes) const {
        const auto* first = reinterpret_cast<const std::byte*>(&inputs->position());
        const auto offset = static_cast<uint64_t>(static_cast<const std::byte*>(host) - first);
        return {block.owner, block.begin + offset, block.begin + offset + bytes, block.address + offset};
    }
    const Range& table(KvClass c) const { return segments[static_cast<size_t>(c)]; }
};

}  // namespace lapidary::runtime::vulkan
