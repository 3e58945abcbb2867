// Declares every function that the table names, with the type of its operation, in its level's namespace; beside it
// kTile_<function>, the register tile that the table gives it.
// Included by the files that define kernels and by select.cpp.
#pragma once

#include "kernels/kernels.h"

namespace lapidary::kernels {

template <class Pointer>
struct FunctionOf;
template <class Function>
struct FunctionOf<Function*> {
    using Type = Function;
};

#define LAP_OPERATION(op, type, ...) using KernelOp_##op = FunctionOf<type>::Type;
#include "kernels/operations.inc"
#undef LAP_OPERATION

#define LAP_KERNEL(op, format, isa, function, ...)     \
    namespace isa {                                    \
    KernelOp_##op function;                            \
    constexpr TileShape kTile_##function{__VA_ARGS__}; \
    }
#define LAP_LEVEL(level, base, numbers)
#include "kernels/kernels.inc"
#undef LAP_LEVEL
#undef LAP_KERNEL

}  // namespace lapidary::kernels
