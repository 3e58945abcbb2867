// LM Studio's folders: PUBLISHER/MODEL with GGUF files, or with safetensors for MLX.
#pragma once

#include <filesystem>

#include "model/stores/stored_model.h"

namespace lapidary::stores {

void list_lm_studio(const std::filesystem::path& root, Listing& listing);

}  // namespace lapidary::stores
