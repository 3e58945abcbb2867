// Bytes of a media file and what they look like: the common first step of image_file and audio_file.
// No decoding here; the type is told from the first bytes, never from the file's extension.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

// Larger files are refused before a byte is read: no picture or recording that fits a context is that big.
inline constexpr uint64_t kMaxMediaFileBytes = uint64_t{1} << 30;

// The size of a regular file that is not empty; anything else could block (a pipe) or never end (a device). A missing file
// is not_found, directories, pipes and empty files are media_unsupported.
Result<uint64_t> media_file_size(const std::filesystem::path& path);

// The whole file. A missing file is not_found; directories, pipes, empty and huge files are
// media_unsupported.
Result<std::vector<uint8_t>> read_media_file(const std::filesystem::path& path);

// Its first bytes, at most `limit_bytes`, under the same conditions; `file_bytes` receives its size.
Result<std::vector<uint8_t>> read_media_head(const std::filesystem::path& path, size_t limit_bytes,
                                             uint64_t* file_bytes);

// "PNG", "JPEG", "WebP", ... "text", or "unknown data".
std::string_view detect_media_type(std::span<const uint8_t> bytes);

// Whether that is a container of tracks that the FFmpeg module reads: videos, and the kinds of sound that are read by
// nothing else.
bool has_tracks(std::string_view type);

// An error with code media_unsupported whose message is "<name>: <what>".
Error media_error(std::string_view name, std::string_view what, std::string_view hint);

}  // namespace lapidary::model
