// Loads a GGUF file, and gives a model the inputs of a projector file. Called by loader.cpp and, for one that was
// packed, by lapidary_loader.cpp; which projector serves is decided in projector.cpp.
#pragma once

#include "model/load/loader.h"
#include "runtime/file/gguf.h"

namespace lapidary::model {

// options.model is a file, the first or any other part of a split model.
Result<LoadedModel> load_gguf_file(const LoadOptions& options);

// The same, of parts that are open already.
Result<LoadedModel> load_gguf_model(const runtime::Gguf& gguf, const LoadOptions& options);

// After an error `model` is of no use.
Result<void> add_projector(const runtime::Gguf& projector, const LoadOptions& options, LoadedModel& model);

// What the texts and tensors of a packed model call the two files.
inline constexpr const char* kTextGroup = "gguf";
inline constexpr const char* kProjectorGroup = "mmproj";

}  // namespace lapidary::model
