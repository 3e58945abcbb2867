// PNG and JPEG to upright RGB8, as transformers sees a picture: Pillow's decoding, EXIF orientation applied,
// alpha composited onto white. No resizing (resize.h) and no other formats: those are refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

// Decoding more than this (768 MiB of RGB) is refused: the largest soft-token budget keeps 2.6 million
// pixels.
inline constexpr uint64_t kMaxImagePixels = uint64_t{1} << 28;

struct Image {
    uint32_t width = 0;
    uint32_t height = 0;
    std::vector<uint8_t> rgb;  // [height][width][3]
};

Result<Image> read_image(const std::filesystem::path& path);

// Opens it, without decoding: an error if read_image would fail over its kind or its header.
Result<void> check_image(const std::filesystem::path& path);

// `name` stands in error messages for the file.
Result<Image> decode_image(std::span<const uint8_t> bytes, std::string_view name);

}  // namespace lapidary::model
