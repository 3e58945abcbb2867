// Which kernels this machine may use: CPU features -> one KernelTable per level.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernels.h"

namespace lapidary::kernels {

struct Level {
    std::string_view name;   // ref, neon, neon_dot, neon_i8mm, avx2, avxvnni, avx512
    bool built = false;      // compiled into this binary
    bool supported = false;  // this CPU and operating system can run it
    const KernelTable* table = nullptr;  // null unless built and supported
};
// All levels that exist, lowest first; ref is always built and supported.
const std::vector<Level>& levels();
// Every table that can run here: the levels' own, and those that an extension of the CPU has replaced.
const std::vector<const KernelTable*>& runnable_tables();

// The highest supported level, or the one named (LAPIDARY_CPU's value; empty = highest).
// Null when the name is unknown or that level cannot run here; `why` then says so and lists what works.
const KernelTable* select(std::string_view level, std::string* why);

// Every operation of every level in this build, the function that serves it, and what holds for that: for `doctor`,
// tests and benches.
struct KernelRow {
    std::string_view op, format, isa, function;
    Format weights = Format::f32;        // `format`, where it is one of weights
    KvFormat cache = KvFormat::f32;      // or of cache rows
    bool own = false;                    // of the level itself; else its base's
    bool bf16 = false;                   // multiplies in bf16
    bool exact = false;                  // gives the bits of `ref`
    int64_t multiple = 1;                // of which K, or the values of a row, must be
    TileShape tile;                      // of products
    const KernelTable* table = nullptr;  // holds the function; null where this CPU cannot run it
};
const std::vector<KernelRow>& rows();

}  // namespace lapidary::kernels
