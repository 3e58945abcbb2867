// A new file that appears whole or not at all: written under a temporary name in the same folder, synced,
// then renamed over the target. A writer that gives up leaves nothing behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "lapidary/result.h"

namespace lapidary::runtime {

// Refuses a file or folder of so many bytes when the file system of `target` has less room: before hours of work, not
// behind them. What lies at the target frees nothing, as it is replaced only when the new one is whole.
Result<void> require_room(const std::filesystem::path& target, uint64_t bytes);

class OutputFile {
  public:
    static Result<OutputFile> create(const std::filesystem::path& target);
    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&& other) = delete;
    ~OutputFile();  // removes the temporary file unless commit() succeeded

    Result<void> write(const void* bytes, size_t count);
    // Replaces bytes that were written before: a header that is known last.
    Result<void> rewrite(uint64_t offset, const void* bytes, size_t count);
    Result<void> commit();
    uint64_t written() const { return written_; }

  private:
    OutputFile() = default;
    Result<void> flush();
    Result<void> write_at(uint64_t offset, const void* bytes, size_t count);

    std::filesystem::path target_, temporary_;
    int fd_ = -1;
    uint64_t written_ = 0;                  // what is pending included
    std::unique_ptr<std::byte[]> pending_;  // small writes are gathered
    size_t pending_bytes_ = 0;
};

// The same for a folder: files are created inside path(), then the folder is renamed to the target, which
// must not exist or be empty.
class OutputFolder {
  public:
    static Result<OutputFolder> create(const std::filesystem::path& target);
    OutputFolder(OutputFolder&& other) noexcept;
    OutputFolder& operator=(OutputFolder&& other) = delete;
    ~OutputFolder();

    const std::filesystem::path& path() const { return temporary_; }
    Result<void> commit();

  private:
    OutputFolder() = default;
    std::filesystem::path target_, temporary_;
};

}  // namespace lapidary::runtime
