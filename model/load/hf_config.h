// ModelConfig from the JSON files of a Hugging Face checkpoint: config.json in both of its forms,
// generation_config.json (hf_generation.h) and the processor's files (hf_processor.h).
#pragma once

#include <string>
#include <vector>

#include "lapidary/result.h"
#include "model/config.h"
#include "model/load/text_files.h"

namespace lapidary::model {

struct HfConfig {
    ModelConfig model;
    bool tied_head = true;           // the output head is the embedding
    std::vector<std::string> notes;  // what of these files is not used
};

// Ids that the files do not give stay -1; the loader looks them up in the vocabulary. Not yet checked as a
// whole (config_check.h does), but every field has the right type.
Result<HfConfig> read_hf_config(const TextFiles& files);

}  // namespace lapidary::model
