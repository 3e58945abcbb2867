// The last gate of both config readers: nothing downstream meets a size that makes no sense.
#pragma once

#include <string>

#include "lapidary/result.h"
#include "model/config.h"

namespace lapidary::model {

// Ceilings far above any model of this family; they keep products of sizes inside 64 bits and refuse
// files that would make us allocate absurdly.
inline constexpr int32_t kMaxLayers = 1024;
inline constexpr int32_t kMaxWidth = 1 << 20;
inline constexpr int32_t kMaxVocab = 1 << 24;
inline constexpr int32_t kMaxHeads = 1024;
inline constexpr int32_t kMaxHeadDim = 4096;
inline constexpr int32_t kMaxPositions = 1 << 28;

// Of a checkpoint that asks for another computation than this program's; `what` begins with the name of its file.
Error other_architecture(std::string what);

// `file` names the checkpoint in errors.
Result<void> check_config(const ModelConfig& config, const std::string& file);

}  // namespace lapidary::model
