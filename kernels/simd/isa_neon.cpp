// The vector kernels of level "neon": the shared source of this folder, compiled with this level's flags.
#include <arm_neon.h>

#include "kernels/simd/prelude.h"

namespace lapidary::kernels::neon {
#include "kernels/simd/lanes_neon.inl"
// The rest is the same for every level.
#include "kernels/simd/expand.inl"
#include "kernels/simd/expand_k.inl"
#include "kernels/simd/matmul.inl"
#include "kernels/simd/rows.inl"
#include "kernels/simd/attention_lanes.inl"
#include "kernels/simd/attention_few.inl"
#include "kernels/simd/attention.inl"
#include "kernels/simd/attention_f32.inl"
}  // namespace lapidary::kernels::neon
