// Which format and layout every tensor of a packed file gets. Reasons: docs/adr on the .lapidary file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/load/loader.h"
#include "model/packing/quantize.h"
#include "model/packing/tensor_packer.h"

namespace lapidary::model {

// The formats that --type names; empty text: none. invalid_argument lists them.
Result<std::optional<Format>> pack_type(const std::string& name);

// One plan per tensor. Without a type every tensor keeps its format. With one, matrices of layers take it and
// the embedding q6_k (q8_0, bf16 and f16: the same); q4_k gives half of the values and ffn_down matrices
// q6_k. Vectors and the projector keep theirs.
std::vector<TensorPlan> plan_tensors(const std::vector<SourceTensor>& tensors, std::optional<Format> type);

}  // namespace lapidary::model
