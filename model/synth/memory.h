// A synthetic model in anonymous memory instead of a file, for measuring.
#pragma once

#include "lapidary/result.h"
#include "model/load/loader.h"
#include "model/synth/synth.h"

namespace lapidary::model {

enum class Filled : uint8_t { yes, no };  // no: for who looks at shapes alone; its pages are never taken
// options.out and options.format are not used. The model has no tokenizer.
Result<LoadedModel> synthetic_model(const SynthOptions& options, Filled filled = Filled::yes);

}  // namespace lapidary::model
