// Random weights of the exact shapes and metadata, as a file that other engines can run too, or in memory
// for measuring. The magnitudes keep logits finite and lively; the values mean nothing.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "lapidary/result.h"
#include "model/load/loader.h"

namespace lapidary::model {

struct SyntheticFile {
    std::filesystem::path out;
    std::string preset = "12b";   // 12b, tiny
    std::string type = "q4_0";    // q4_0 q8_0 q4_k q6_k bf16 f16
    std::string format = "gguf";  // gguf, hf
    int layers = 0;               // 0: the preset's
    std::function<bool(std::string_view stage, uint64_t done, uint64_t total)> progress = {};
};

// Written beside `out`, synced and renamed: `out` is whole or absent. Unknown names and impossible
// combinations: invalid_argument. Full disk, unwritable folder: io_error, nothing left behind.
Result<void> write_synthetic(const SyntheticFile& file);

// The same model in anonymous memory; no tokenizer.
Result<LoadedModel> synthetic_model(std::string_view preset, std::string_view type, int layers);

}  // namespace lapidary::model
