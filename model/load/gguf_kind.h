// GGUF holds more than models: what a file says of itself.
#pragma once

#include "lapidary/result.h"
#include "runtime/file/gguf.h"

namespace lapidary::model {

bool is_projector(const runtime::Gguf& gguf);

// An error that names what the file is, unless it is a text model of the architecture "gemma4" with weights.
Result<void> require_text_model(const runtime::Gguf& gguf);

}  // namespace lapidary::model
