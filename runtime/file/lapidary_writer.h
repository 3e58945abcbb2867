// Writes a .lapidary file front to back, so that a model of any size needs no memory. What the header says is
// written last: a file that was left half-way, under whatever name, is none.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "lapidary/result.h"
#include "runtime/file/lapidary_file.h"
#include "runtime/file/output_file.h"

namespace lapidary::runtime {

class LapidaryWriter {
  public:
    LapidaryWriter(std::string kind, std::string title, std::string writer);
    ~LapidaryWriter();
    LapidaryWriter(const LapidaryWriter&) = delete;
    LapidaryWriter& operator=(const LapidaryWriter&) = delete;

    void add_source(LapidarySource source);
    void add_text(std::string name, std::string text);
    // The data follows later, in the order of these calls.
    // By its name and shape, in the form that is given.
    void add_tensor(const FileTensor& tensor, std::string group, Format format, Layout layout);

    // Ends the lists. Then write() the bytes of all tensors; the padding between them is added here.
    Result<void> start(const std::filesystem::path& target);
    Result<void> write(const void* bytes, size_t count);
    Result<uint64_t> finish();  // syncs and renames; the size of the file

  private:
    struct Hash;  // keeps xxhash.h out of this header
    Result<void> begin_tensor();

    LapidaryFile file_;
    std::vector<std::string> texts_;
    std::optional<OutputFile> out_;
    std::unique_ptr<Hash> hash_;
    uint64_t file_bytes_ = 0;
    size_t current_ = 0;       // the tensor that is being written
    uint64_t done_bytes_ = 0;  // of it
};

}  // namespace lapidary::runtime
