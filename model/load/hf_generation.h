// generation_config.json of a Hugging Face checkpoint: how replies are sampled and where they end.
#pragma once

#include <string>
#include <vector>

#include "lapidary/result.h"
#include "model/config.h"
#include "model/load/text_files.h"

namespace lapidary::model {

// An absent file leaves the published values in place. Settings that are not obeyed are named in `notes`; ids that no
// token has are dropped and named too.
Result<void> read_hf_generation(const TextFiles& files, ModelConfig& config, std::vector<std::string>& notes);

}  // namespace lapidary::model
