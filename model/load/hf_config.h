// ModelConfig from the JSON files of a Hugging Face checkpoint: config.json in both of its forms,
// generation_config.json and processor_config.json.
#pragma once

#include "lapidary/result.h"
#include "model/config.h"
#include "model/load/text_files.h"

namespace lapidary::model {

// Ids that the files do not give stay -1; the loader looks them up in the vocabulary. Not yet checked as a
// whole (config_check.h does), but every field has the right type.
Result<ModelConfig> read_hf_config(const TextFiles& files);

}  // namespace lapidary::model
