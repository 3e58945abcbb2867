// The processor's settings of a Hugging Face checkpoint: processor_config.json and, where that has no section for
// pictures or recordings, the older preprocessor_config.json.
#pragma once

#include <string>
#include <vector>

#include "lapidary/result.h"
#include "model/config.h"
#include "model/load/text_files.h"

namespace lapidary::model {

// Settings that would change pixels or samples and are not obeyed become the `problem` of that input, so that text
// never fails because of them; what else is not used is named in `notes`.
Result<void> read_hf_processor(const TextFiles& files, ModelConfig& config, std::vector<std::string>& notes);

}  // namespace lapidary::model
