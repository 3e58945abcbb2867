// Helpers of the media tests: the goldens and their picture generator, CRC32, fixture paths and files.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
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

inline std::filesystem::path golden_dir() {
    return std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/data/goldens";
}

// The CRC of zlib and PNG, by a table of the 256 remainders.
inline uint32_t crc32(std::span<const uint8_t> bytes) {
    static constexpr auto kRemainders = [] {
        std::array<uint32_t, 256> table{};
        for (uint32_t i = 0; i < 256; ++i) {
            table[i] = i;
            for (int bit = 0; bit < 8; ++bit) table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0xedb88320 : 0);
        }
        return table;
    }();
    uint32_t crc = 0xffffffff;
    for (const uint8_t byte : bytes) crc = (crc >> 8) ^ kRemainders[(crc ^ byte) & 0xff];
    return ~crc;
}

// The CRC as the goldens spell it, eight hexadecimal digits; of floats, that of their little-endian bytes.
inline std::string crc32_text(std::span<const uint8_t> bytes) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", crc32(bytes));
    return digits;
}
inline std::string crc32_text(std::span<const float> values) {
    return crc32_text(std::span(reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()));
}

// What transformers' processors make of pictures and sounds; tests/data/goldens/README.md explains the
// fields.
inline const nlohmann::json& processor_golden(const char* list) {
    static const nlohmann::json file = [] {
        std::ifstream in(golden_dir() / "processor.json");
        return nlohmann::json::parse(in);
    }();
    return file.at(list);
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
