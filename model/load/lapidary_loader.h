// Loads a .lapidary file: its texts go through the same readers as those of its source, its tensors are used
// where they lie. Called by loader.cpp.
#pragma once

#include "model/load/loader.h"

namespace lapidary::model {

Result<LoadedModel> load_lapidary_file(const LoadOptions& options);

}  // namespace lapidary::model
