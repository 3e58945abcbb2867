// The names of presets, types and formats that the tools take, as the loader's options.
#pragma once

#include "lapidary/tools.h"
#include "model/synth/synth.h"

namespace lapidary {

// invalid_argument lists the possible names.
Result<model::SynthOptions> synth_options(const SynthOptions& options);

}  // namespace lapidary
