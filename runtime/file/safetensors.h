// Reads safetensors files: one, or the shards of a Hugging Face folder. Tensors stay in the mapping; they
// are listed only after shape and place have been checked. Formats: F32, F16, BF16; others are listed by name.
#pragma once

#include <filesystem>

#include "lapidary/result.h"
#include "runtime/file/file_tensor.h"

namespace lapidary::runtime {

using Safetensors = FileTensors;

Result<Safetensors> open_safetensors(const std::filesystem::path& file);

// Whether the folder has one of the two files that open_safetensors_folder begins with.
bool holds_safetensors(const std::filesystem::path& folder);

// model.safetensors, or the shards that model.safetensors.index.json names.
Result<Safetensors> open_safetensors_folder(const std::filesystem::path& folder);

}  // namespace lapidary::runtime
