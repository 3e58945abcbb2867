// What a step must read and multiply, whatever the kernels do: the numerators of GB/s and GMAC/s.
#pragma once

#include <cstdint>

#include "model/session_state.h"

namespace lapidary::model {

struct StepCost {
    uint64_t bytes = 0;  // weights in their source format, once, and the cache rows that the last token sees
    double macs = 0;     // of the matrices and of attention

    StepCost& operator+=(const StepCost& other) {
        bytes += other.bytes;
        macs += other.macs;
        return *this;
    }
};

// Tokens [position, position + columns) of the session, logits wanted for the last `rows` of them.
StepCost step_cost(const model::SessionState& session, int32_t position, int32_t columns, int32_t rows);

}  // namespace lapidary::model
