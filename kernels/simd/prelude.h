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
