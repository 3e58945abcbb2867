// Mixtures of formats; see pack_plan.h.
#include "model/packing/pack_plan.h"

#include <algorithm>

#include "base/describe.h"
#include "model/packing/quantize.h"

namespace lapidary::model {
namespace {

// The layers whose sensitive matrices get more bits in llama.cpp's "medium" K mixtures: the first and the
// last eighth, and every third of the others.
bool gets_more_bits(int layer, int layers) {
    const int eighth = layers / 8;
    return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

Format wanted(const SourceTensor& tensor, Format type, int layers) {
    if (tensor.role == TensorRole::other) return tensor.format;
    const bool four_bits = type == Format::q4_0 || type == Format::q4_k;
    if (tensor.role == TensorRole::embedding) return four_bits ? Format::q6_k : type;
    if (type == Format::q4_k && tensor.sensitive && gets_more_bits(tensor.layer, layers)) return Format::q6_k;
    return type;
}

// Rows that are no whole number of blocks take the next format that they are, and keep their own as the last.
Format possible(Format format, const SourceTensor& tensor) {
    for (const Format candidate : {format, Format::q8_0})
        if (tensor.cols() % kernels::block_values(candidate) == 0) return candidate;
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

std::vector<TensorPlan> plan_tensors(const std::vector<SourceTensor>& tensors, std::optional<Format> type) {
    int layers = 0;
    for (const SourceTensor& tensor : tensors) layers = std::max(layers, tensor.layer + 1);
    std::vector<TensorPlan> plans;
    for (const SourceTensor& tensor : tensors) {
        TensorPlan plan{tensor.format, runtime::Layout::rows};
        const bool matrix = tensor.role != TensorRole::other;
        if (type && matrix) plan.format = possible(wanted(tensor, *type, layers), tensor);
        if (matrix && tensor.can_lie_in_panels(plan.format)) plan.layout = runtime::Layout::panels;
        plans.push_back(plan);
    }
    return plans;
}

}  // namespace lapidary::model
