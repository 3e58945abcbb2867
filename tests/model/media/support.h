// Helpers of the media tests: the goldens' picture generator, CRC32, fixture paths and files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "model/media/image_file.h"

namespace lapidary::model {

// P(y,x,c) = (7x + 13y + 29c + 5*((x*y) mod 31) + 90*((x div 9 + y div 7) mod 2)) mod 256
inline Image test_picture(uint32_t width, uint32_t height) {
    Image image{width, height, {}};
    for (uint32_t y = 0; y < height; ++y) {
        for (uint32_t x = 0; x < width; ++x) {
            for (uint32_t c = 0; c < 3; ++c) {
                const uint32_t value =
                    7 * x + 13 * y + 29 * c + 5 * (x * y % 31) + 90 * ((x / 9 + y / 7) % 2);
                image.rgb.push_back(static_cast<uint8_t>(value));
            }
        }
    }
    return image;
}

// The CRC of zlib and PNG, bit by bit.
inline uint32_t crc32(std::span<const uint8_t> bytes) {
    uint32_t crc = 0xffffffff;
    for (const uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

inline std::filesystem::path fixture_dir() {
    return std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/data/media";
}
inline std::filesystem::path samples_dir() {
    return std::filesystem::path(LAPIDARY_SOURCE_DIR) / "models/tiny/samples";
}

inline std::vector<uint8_t> file_bytes(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace lapidary::model
