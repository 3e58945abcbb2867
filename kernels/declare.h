// Declares every function that the table names, with the type of its operation, in its level's namespace.
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

#define LAP_KERNEL(op, format, isa, function)            \
    namespace isa {                                      \
    FunctionOf<KernelOp_##op>::Type function;            \
    }
using KernelOp_expand = ExpandFn;
using KernelOp_matmul = MatmulFn;
using KernelOp_pack_panel = PackPanelFn;
using KernelOp_unpack_panel_row = UnpackPanelRowFn;
using KernelOp_panel_matmul = PanelMatmulFn;
using KernelOp_quantize_panel = QuantizePanelFn;
using KernelOp_round_bf16 = RoundBf16Fn;
using KernelOp_quantize = QuantizeFn;
using KernelOp_rms_norm = RmsNormFn;
using KernelOp_layer_norm = LayerNormFn;
using KernelOp_add_norm = AddNormFn;
using KernelOp_geglu = GegluFn;
using KernelOp_rope = RopeFn;
using KernelOp_soft_cap = SoftCapFn;
using KernelOp_scale_add = ScaleAddFn;
using KernelOp_store_kv = StoreKvFn;
using KernelOp_peak = PeakFn;
using KernelOp_attention = AttentionFn;
using KernelOp_attention_merge = AttentionMergeFn;
#define LAP_LEVEL(level, base)
#include "kernels/kernels.inc"
#undef LAP_LEVEL
#undef LAP_KERNEL

}  // namespace lapidary::kernels
