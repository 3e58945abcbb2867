// Which model this is, whatever file it came in: saved sessions name it.
#pragma once

#include <string>

#include "model/config.h"
#include "model/weights.h"

namespace lapidary::model {

// A hash, in hexadecimal digits, of the sizes, formats and norms of all layers and the first row of every matrix, where they lie in their
// sources: some hundred rows are read. The same for a packed model and its source.
std::string identity_of(const ModelConfig& config, const Weights& sources);

}  // namespace lapidary::model
