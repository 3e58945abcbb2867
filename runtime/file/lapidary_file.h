// The .lapidary container: the tensors of a model in the order that kernels read them, with the texts that
// its source came with (metadata, tokenizer, settings), in one file that is mapped and used where it lies.
// Knows the container, not the models in it; model/load/lapidary_loader reads those. Drawing: docs/adr/ on
// the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"
#include "runtime/file/extent.h"
#include "runtime/file/file_tensor.h"

namespace lapidary::runtime {

inline constexpr uint32_t kLapidaryVersion = 1;
inline constexpr uint64_t kLapidaryAlignment = 64 << 10;  // of every tensor

struct LapidaryTensor : FileTensor {
    std::string group = {};  // which of the source's files it came from, as its text is called: "gguf", ...
    uint64_t checksum = 0;  // XXH3, 64 bits
};

struct LapidaryText {
    std::string name;
    uint64_t offset = 0, bytes = 0, checksum = 0;
};

struct LapidarySource {  // a file that was packed, for people
    std::string name;    // without its folder
    uint64_t bytes = 0;
    int64_t modified_s = 0;  // seconds since 1970
};

struct LapidaryFile {
    std::filesystem::path path;
    Buffer buffer;       // the mapping; keeps everything below alive
    std::string kind;    // "gguf" or "hf": how the texts are to be read
    std::string title;   // the source's own name
    std::string writer;  // program and version
    std::vector<LapidarySource> sources;
    std::vector<LapidaryText> texts;
    std::vector<LapidaryTensor> tensors;
    uint64_t directory_end = 0;  // where the texts may begin

    bool has_text(std::string_view name) const { return find_text(name) != nullptr; }
    std::string_view text(std::string_view name) const;  // empty when there is none

  private:
    const LapidaryText* find_text(std::string_view name) const;
};

// Whether the file begins like one; false when it cannot be read.
bool is_lapidary_file(const std::filesystem::path& path);

// Maps the file and checks its size, version, directory and texts. Tensors are not read: see verify_lapidary.
Result<LapidaryFile> open_lapidary(const std::filesystem::path& path, Extent extent = Extent::whole);

// Reads every tensor and compares its checksum; the error names the damaged one. `progress`: false cancels.
Result<void> verify_lapidary(const LapidaryFile& file,
                             const std::function<bool(uint64_t done, uint64_t total)>& progress = {});

}  // namespace lapidary::runtime
