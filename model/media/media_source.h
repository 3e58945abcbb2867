// The bytes of a medium where they lie: a file that is read piece by piece, so that its size does not matter, or memory of
// the caller's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

class MediaSource {
  public:
    // A regular file that is not empty; other paths are errors as in media_bytes.h.
    static Result<MediaSource> file(const std::filesystem::path& path);
    // `name` stands in error messages. The bytes must outlive the source.
    static MediaSource memory(std::span<const uint8_t> bytes, std::string_view name);

    MediaSource(MediaSource&& other) noexcept;
    MediaSource& operator=(MediaSource&&) = delete;
    ~MediaSource();

    const std::string& name() const { return name_; }
    uint64_t size() const { return size_; }
    // Bytes from `offset` on: how many came, fewer than wanted at the end; -1 when the file cannot be read.
    int64_t read_at(uint64_t offset, std::span<uint8_t> target) const;
    // Its first bytes, at most `limit`.
    Result<std::vector<uint8_t>> head(size_t limit) const;

  private:
    MediaSource() = default;
    std::string name_;
    uint64_t size_ = 0;
    int file_ = -1;
    std::span<const uint8_t> bytes_;
};

}  // namespace lapidary::model
