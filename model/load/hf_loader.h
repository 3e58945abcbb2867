// Loads a Hugging Face checkpoint: config, safetensors, tokenizer. Called by loader.cpp and, for one that was
// packed, by lapidary_loader.cpp.
#pragma once

#include "model/load/loader.h"
#include "model/load/text_files.h"
#include "runtime/file/safetensors.h"

namespace lapidary::model {

Result<LoadedModel> load_hf_folder(const LoadOptions& options);

// The same, from texts and tensors that lie somewhere else.
Result<LoadedModel> load_hf_model(const TextFiles& texts, const runtime::Safetensors& tensors,
                                  const LoadOptions& options);

}  // namespace lapidary::model
