// What the hand-written NEON files may include (kernels/README.md, "One definition"), and how they unroll.
#pragma once

#include <arm_neon.h>

#include "kernels/declare.h"
#include "kernels/panel_tiles.h"

// Loops over registers must unroll completely, or the accumulators would live in memory.
#ifdef __clang__
#define LAP_UNROLL _Pragma("unroll")
#else
#define LAP_UNROLL _Pragma("GCC unroll 16")
#endif
