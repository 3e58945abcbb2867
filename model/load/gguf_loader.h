// Loads a GGUF file with the projector beside it, if any. Called by loader.cpp and, for one that was packed, by
// lapidary_loader.cpp.
#pragma once

#include "model/load/loader.h"
#include "runtime/file/gguf.h"

namespace lapidary::model {

// options.model is a file, the first or any other part of a split model.
Result<LoadedModel> load_gguf_file(const LoadOptions& options);

// The same, of parts that are open already; `projector` may be null.
Result<LoadedModel> load_gguf_model(const runtime::Gguf& gguf, const runtime::Gguf* projector,
                                    const LoadOptions& options);

// What the texts and tensors of a packed model call the two files.
inline constexpr const char* kTextGroup = "gguf";
inline constexpr const char* kProjectorGroup = "mmproj";

// Whether a file name marks a projector, as all converters name them.
bool is_projector_name(const std::string& file_name);

}  // namespace lapidary::model
