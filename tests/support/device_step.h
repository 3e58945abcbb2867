// Steps of a device without a model around them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>

#include "runtime/device.h"

namespace lapidary::test {

// Begins a step of so many columns, with scratch for inputs of so many values and heads of so many.
inline runtime::StepInputs begin_step(runtime::Device& device, runtime::StepShape shape) {
    if (shape.widest == 0) shape.widest = 1024;
    auto recording = device.begin({.shape = shape}, {});
    REQUIRE(recording);
    return recording->inputs;
}

inline runtime::Buffer allocate(runtime::Device& device, int64_t bytes) {
    auto buffer = device.allocate(static_cast<size_t>(bytes), runtime::MemoryKind::state);
    REQUIRE(buffer);
    return std::move(*buffer);
}

}  // namespace lapidary::test
