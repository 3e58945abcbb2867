// One recording as a stream of frames, whatever it is written in: what audio_file.cpp takes its samples from. The bytes
// stay with the caller and must outlive the reader.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "lapidary/result.h"
#include "model/media/media_source.h"

namespace lapidary::model {

struct SoundFormat {
    uint32_t channels = 0, sample_rate = 0;
    uint64_t frames = 0;  // as the file claims; 0: it does not say
};

class SoundReader {
  public:
    virtual ~SoundReader() = default;
    const SoundFormat& format() const { return format_; }
    // Fills whole frames from the front and returns how many; 0 at the end. A file that ends before its claim or is
    // damaged is an error.
    virtual Result<size_t> read(std::span<float> interleaved) = 0;

  protected:
    SoundFormat format_;
};

Result<std::unique_ptr<SoundReader>> open_sndfile(std::span<const uint8_t> bytes, std::string_view name);
Result<std::unique_ptr<SoundReader>> open_mp3(std::span<const uint8_t> bytes, std::string_view name);
// Through the FFmpeg module: kinds for which has_tracks() of media_bytes.h is true.
Result<std::unique_ptr<SoundReader>> open_track(MediaSource source);

// Bytes as a file for libraries that read through callbacks. Positions are clamped, so no offset can leave the bytes.
struct MemoryFile {
    std::span<const uint8_t> bytes;
    int64_t position = 0;

    int64_t size() const { return static_cast<int64_t>(bytes.size()); }
    int64_t seek(int64_t offset, int whence) {
        const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position : size();
        // base is at most 1 GiB; clamping the offset first keeps the sum from overflowing.
        position = std::clamp<int64_t>(base + std::clamp<int64_t>(offset, -size(), size()), 0, size());
        return position;
    }
    int64_t read(void* target, int64_t count) {
        const int64_t available = std::clamp<int64_t>(count, 0, size() - position);
        std::memcpy(target, bytes.data() + position, static_cast<size_t>(available));
        position += available;
        return available;
    }
};

}  // namespace lapidary::model
