// The vector kernels of level "avx512": the shared source of this folder, compiled with this level's flags.
#include <immintrin.h>

#include "kernels/simd/prelude.h"

namespace lapidary::kernels::avx512 {
#include "kernels/simd/lanes_avx512.inl"
// The rest is the same for every level.
#include "kernels/simd/expand.inl"
#include "kernels/simd/expand_k.inl"
#include "kernels/simd/matmul.inl"
#include "kernels/simd/rows.inl"
#include "kernels/simd/attention_lanes.inl"
#include "kernels/simd/attention_few.inl"
#include "kernels/simd/attention.inl"
#include "kernels/simd/attention_f32.inl"
}  // namespace lapidary::kernels::avx512
