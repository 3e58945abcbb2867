// Mixtures of formats; see pack_plan.h.
#include "model/packing/pack_plan.h"

#include <algorithm>

#include "base/describe.h"
#include "model/packing/quantize.h"
#include "runtime/file/lapidary_file.h"

namespace lapidary::model {
namespace {

// The layers whose sensitive matrices get more bits in llama.cpp's "medium" K mixtures: the first and the
// last eighth, and every third of the others.
bool gets_more_bits(int layer, int layers) {
    const int eighth = layers / 8;
    return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

Format wanted(const CarriedTensor& carried, Format type, int layers) {
    if (carried.role == TensorRole::other) return carried.tensor.format;
    const bool four_bits = type == Format::q4_0 || type == Format::q4_k;
    if (carried.role == TensorRole::embedding) return four_bits ? Format::q6_k : type;
    if (type == Format::q4_k && carried.sensitive && gets_more_bits(carried.layer, layers))
        return Format::q6_k;
    return type;
}

// Rows that are no whole number of blocks take the next format that they are, and keep their own as the last.
Format possible(Format format, const SourceTensor& tensor) {
    for (const Format candidate : {format, Format::q8_0})
        if (tensor.shape.back() % kernels::block_values(candidate) == 0) return candidate;
    return tensor.format;
}

}  // namespace

Result<std::optional<Format>> pack_type(const std::string& name) {
    if (name.empty()) return std::optional<Format>();
    for (const Format format :
         {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::bf16, Format::f16})
        if (name == kernels::name(format)) return std::optional(format);
    return Error{Errc::invalid_argument, concat("unknown type ", in_quotes(name)),
                 "types are q4_0, q8_0, q4_k, q6_k, bf16 and f16"};
}

std::vector<TensorPlan> plan_tensors(const std::vector<CarriedTensor>& tensors, std::optional<Format> type) {
    int layers = 0;
    for (const CarriedTensor& carried : tensors) layers = std::max(layers, carried.layer + 1);
    std::vector<TensorPlan> plans;
    for (const CarriedTensor& carried : tensors) {
        TensorPlan plan{carried.tensor.format, runtime::Layout::rows};
        if (type && carried.role != TensorRole::other)
            plan.format = possible(wanted(carried, *type, layers), carried.tensor);
        if (carried.role != TensorRole::other &&
            runtime::can_lie_in_panels(plan.format, carried.tensor.shape))
            plan.layout = runtime::Layout::panels;
        plans.push_back(plan);
    }
    return plans;
}

}  // namespace lapidary::model
