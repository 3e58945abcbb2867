// What an ISA file may include (see kernels/README.md, "One definition"): kernel headers, xsimd, intrinsics.
#pragma once

#include <xsimd/xsimd.hpp>

#include "kernels/blocks.h"
#include "kernels/declare.h"
#include "kernels/half.h"
#include "kernels/kv_rows.h"
#include "kernels/tiles.h"

// Loops over registers must unroll completely, or the accumulators would live in memory.
#ifdef __clang__
#define LAP_UNROLL _Pragma("unroll")
#else
#define LAP_UNROLL _Pragma("GCC unroll 32")
#endif
#define LAP_INLINE __attribute__((always_inline)) inline
#define LAP_INLINE_LAMBDA __attribute__((always_inline))

namespace lapidary::kernels {

// The same bits as a vector of another element type; xsimd's own changed its meaning between versions.
template <class To, class From>
LAP_INLINE To vector_bits(From v) {
    return To(__builtin_bit_cast(typename To::register_type, v.data));
}

}  // namespace lapidary::kernels
