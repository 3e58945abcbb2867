// Loads a Hugging Face folder: config, safetensors, tokenizer. Called by loader.cpp.
#pragma once

#include "model/load/loader.h"

namespace lapidary::model {

Result<LoadedModel> load_hf_folder(const LoadOptions& options);

}  // namespace lapidary::model
