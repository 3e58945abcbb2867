// Videos without loss, so that a test can name every pixel: uncompressed AVI (BITMAPINFOHEADER).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "model/media/image_file.h"

namespace lapidary::test {

// Frames of one size as they are stored, `bits` a pixel; so many of them a second. compression: 0 is RGB.
inline std::vector<uint8_t> raw_avi(const std::vector<std::string>& frames, uint32_t width, uint32_t height, uint32_t bits,
                                    uint32_t compression, uint32_t fps) {
    const auto words = [](std::initializer_list<uint32_t> values) {
        std::string out;
        for (const uint32_t v : values)
            for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(v >> shift & 0xff);
        return out;
    };
    const auto chunk = [&](std::string_view name, const std::string& body) {
        return std::string(name) + words({static_cast<uint32_t>(body.size())}) + body + std::string(body.size() % 2, '\0');
    };
    const uint32_t count = static_cast<uint32_t>(frames.size()), bytes = static_cast<uint32_t>(frames.front().size());
    std::string movie = "movi";
    for (const std::string& frame : frames) movie += chunk("00db", frame);
    const std::string main = words({1'000'000 / fps, 0, 0, 0, count, 0, 1, bytes, width, height, 0, 0, 0, 0});
    const std::string stream = "vidsDIB " + words({0, 0, 0, 1, fps, 0, count, bytes, 0xffffffff, 0, 0, width | height << 16});
    const std::string format = words({40, width, height, 1 | bits << 16, compression, bytes, 0, 0, 0, 0});
    const std::string header = "hdrl" + chunk("avih", main) + chunk("LIST", "strl" + chunk("strh", stream) + chunk("strf", format));
    const std::string file = chunk("RIFF", "AVI " + chunk("LIST", header) + chunk("LIST", movie));
    return {file.begin(), file.end()};
}

// RGB: rows from the bottom up, blue first, each padded to 4 bytes.
inline std::vector<uint8_t> raw_avi(const std::vector<model::Image>& frames, uint32_t fps) {
    const uint32_t width = frames.front().width, height = frames.front().height, row = (3 * width + 3) / 4 * 4;
    std::vector<std::string> stored;
    for (const model::Image& frame : frames) {
        std::string pixels(size_t{row} * height, '\0');
        for (size_t y = 0; y < height; ++y)
            for (size_t i = 0; i < size_t{3} * width; ++i)
                pixels[(height - 1 - y) * row + i / 3 * 3 + 2 - i % 3] = static_cast<char>(frame.rgb[y * 3 * width + i]);
        stored.push_back(std::move(pixels));
    }
    return raw_avi(stored, width, height, 24, 0, fps);
}

// One frame of 4:2:0, as most videos are, whose pixels all have this brightness and no colour.
inline std::vector<uint8_t> grey_avi(uint32_t width, uint32_t height, uint8_t brightness) {
    constexpr uint32_t kI420 = 'I' | '4' << 8 | '2' << 16 | '0' << 24;
    const std::string chroma(size_t{2} * ((width + 1) / 2) * ((height + 1) / 2), '\x80');
    return raw_avi({std::string(size_t{width} * height, static_cast<char>(brightness)) + chroma}, width, height, 12, kI420, 1);
}

}  // namespace lapidary::test
