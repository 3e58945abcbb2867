// PNG, JPEG, WebP and GIF (of animations the first frame) to upright RGB8, as transformers sees a picture: Pillow's
// decoding, EXIF orientation applied, alpha composited onto white. No resizing (resize.h) and no other formats: those are refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

// Decoding more than this (512 MiB of RGB) is refused: it is where Pillow, and so transformers, raises its
// DecompressionBombError. The largest soft-token budget keeps 2.6 million pixels.
inline constexpr uint64_t kMaxImagePixels = 178'956'970;

struct Image {
    uint32_t width = 0;
    uint32_t height = 0;
    std::vector<uint8_t> rgb;  // [height][width][3]
};

// May refuse the size that the header says, before a pixel is decoded; a picture that lies on its side may have both
// numbers swapped.
using SizeCheck = std::function<Result<void>(uint32_t width, uint32_t height)>;

Result<Image> read_image(const std::filesystem::path& path, const SizeCheck& check = {});

// Opens it, without decoding: an error if read_image would fail over its kind or its header.
Result<void> check_image(const std::filesystem::path& path);

// The same of the bytes of a file; `name` stands in error messages for it.
Result<Image> decode_image(std::span<const uint8_t> bytes, std::string_view name, const SizeCheck& check = {});
Result<void> check_image(std::span<const uint8_t> bytes, std::string_view name);

}  // namespace lapidary::model
