// ModelConfig from the metadata of a text GGUF, and its media part from a projector GGUF. What the keys do
// not say is read off the tensors: the vocabulary's size, keys used as values, the rotating pairs.
#pragma once

#include "lapidary/result.h"
#include "model/config.h"
#include "runtime/file/gguf.h"

namespace lapidary::model {

// Refuses by name what is no text model of this architecture, and values that ask for another computation. Appends
// notes about what is not obeyed.
Result<ModelConfig> read_gguf_config(const runtime::Gguf& gguf, std::vector<std::string>& notes);

// Adds config.vision and config.audio where the tensors of a projector lie in the file of the text, as Ollama's converter puts them.
// Refused are those of encoders.
Result<void> read_inner_projector(const runtime::Gguf& gguf, ModelConfig& config);

// Adds config.vision and config.audio as far as the projector has them.
Result<void> read_projector_config(const runtime::Gguf& projector, ModelConfig& config);

}  // namespace lapidary::model
