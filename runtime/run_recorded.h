// One step from begin to wait: the inputs filled, the operations noted where they are not known yet; and what it left.
#pragma once

#include "base/try.h"
#include "runtime/device.h"

namespace lapidary::runtime {

// fill(const StepInputs&) writes the block; note() names the operations.
template <class Fill, class Note>
Result<void> run_recorded(Device& device, const StepKey& key, const StepWatch& watch, const Fill& fill, const Note& note) {
    LAP_ASSIGN(const Recording recording, device.begin(key, watch));
    try {
        fill(recording.inputs);
        if (!recording.replays) {
            note();
            device.end();
        }
    } catch (...) {  // of a caller's watch, or memory that ran out
        device.abort();
        throw;
    }
    return device.wait(device.submit());
}

// The values of the rows, as Device::read.
inline Result<const float*> read_floats(Device& device, const TensorView& from) {
    const std::byte* bytes = device.read(from);
    if (!bytes) return Error{Errc::device_lost, "the device was lost before it gave its results back", "try again, or use --placement cpu"};
    return reinterpret_cast<const float*>(bytes);
}

}  // namespace lapidary::runtime
