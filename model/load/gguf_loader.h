// Loads a GGUF file with the projector beside it, if any. Called by loader.cpp.
#pragma once

#include "model/load/loader.h"

namespace lapidary::model {

// options.model is a file, the first or any other part of a split model.
Result<LoadedModel> load_gguf_file(const LoadOptions& options);

// Whether a file name marks a projector, as all converters name them.
bool is_projector_name(const std::string& file_name);

}  // namespace lapidary::model
