// Reads safetensors files: one, or the shards of a Hugging Face folder. Tensors stay in the mapping; they
// are listed only after shape and place have been checked. Formats: F32, F16, BF16; others are listed by name.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lapidary/result.h"
#include "runtime/tensor.h"

namespace lapidary::runtime {

struct SafetensorsTensor {
    std::string name;
    Format format = Format::f32;  // without meaning when foreign_type is set
    std::vector<int64_t> shape;
    size_t part = 0;    // index into Safetensors::parts
    size_t offset = 0;  // in that file
    Layout layout = Layout::rows;  // panels: only when the tensors come from a .lapidary file
    uint64_t bytes = 0;
    std::string foreign_type = {};  // the name of a type that is not read here; else empty
};

struct SafetensorsPart {
    std::filesystem::path path;
    Buffer buffer;
};

struct Safetensors {
    std::vector<SafetensorsPart> parts;      // keeps the tensors alive
    std::vector<SafetensorsTensor> tensors;  // in the order of their data
};

Result<Safetensors> open_safetensors(const std::filesystem::path& file);

// model.safetensors, or the shards that model.safetensors.index.json names.
Result<Safetensors> open_safetensors_folder(const std::filesystem::path& folder);

}  // namespace lapidary::runtime
