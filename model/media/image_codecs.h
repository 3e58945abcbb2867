// What image_file.cpp shares with its decoders, of PNG, JPEG, WebP and GIF. Internal to
// model/media.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/result.h"
#include "model/media/image_file.h"

namespace lapidary::model {

struct DecodedImage {
    Image image;
    int orientation = 1;  // EXIF, not yet applied
};

enum class Extent { header, all };  // header: the size alone, no pixels

Result<DecodedImage> decode_png(std::span<const uint8_t> bytes, std::string_view name, Extent extent);
Result<DecodedImage> decode_jpeg(std::span<const uint8_t> bytes, std::string_view name, Extent extent);
Result<DecodedImage> decode_webp(std::span<const uint8_t> bytes, std::string_view name, Extent extent);
Result<DecodedImage> decode_gif(std::span<const uint8_t> bytes, std::string_view name, Extent extent);

// Refuses more than kMaxImagePixels, and more than `max_plausible_pixels`, the most that a file of this many
// bytes can hold: a header must not make us allocate what its body cannot fill.
Result<void> check_image_size(uint64_t width, uint64_t height, uint64_t max_plausible_pixels,
                              size_t file_bytes, std::string_view name);

// `count` zero bytes, or out_of_memory.
Result<std::vector<uint8_t>> allocate_pixels(size_t count, std::string_view name);

// round(a*b/255) for bytes, exact.
inline uint32_t multiply_255(uint32_t a, uint32_t b) {
    const uint32_t t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

// Over a white background: round((a*c + (255-a)*255) / 255), which is what Pillow's alpha_composite yields.
inline uint8_t over_white(uint8_t value, uint8_t alpha) {
    return static_cast<uint8_t>(255 - multiply_255(255u - value, alpha));
}

}  // namespace lapidary::model
