// A video without loss, so that a test can name every pixel: RGB frames as uncompressed AVI (BITMAPINFOHEADER, 24 bits, rows
// from the bottom up, blue first, each padded to 4 bytes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/media/image_file.h"

namespace lapidary::test {

// All frames of one size; so many of them a second.
inline std::vector<uint8_t> raw_avi(const std::vector<model::Image>& frames, uint32_t fps) {
    const auto words = [](std::initializer_list<uint32_t> values) {
        std::string out;
        for (const uint32_t v : values)
            for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(v >> shift & 0xff);
        return out;
    };
    const auto chunk = [&](std::string_view name, const std::string& body) {
        return std::string(name) + words({static_cast<uint32_t>(body.size())}) + body;
    };
    const uint32_t width = frames.front().width, height = frames.front().height, count = static_cast<uint32_t>(frames.size());
    const uint32_t row = (3 * width + 3) / 4 * 4;
    std::string movie = "movi";
    for (const model::Image& frame : frames) {
        std::string pixels(size_t{row} * height, '\0');
        for (size_t y = 0; y < height; ++y)
            for (size_t i = 0; i < size_t{3} * width; ++i)
                pixels[(height - 1 - y) * row + i / 3 * 3 + 2 - i % 3] = static_cast<char>(frame.rgb[y * 3 * width + i]);
        movie += chunk("00db", pixels);
    }
    const std::string main = words({1'000'000 / fps, 0, 0, 0, count, 0, 1, row * height, width, height, 0, 0, 0, 0});
    const std::string stream = "vidsDIB " + words({0, 0, 0, 1, fps, 0, count, row * height, 0xffffffff, 0, 0, width | height << 16});
    const std::string format = words({40, width, height, 1 | 24 << 16, 0, row * height, 0, 0, 0, 0});
    const std::string header = "hdrl" + chunk("avih", main) + chunk("LIST", "strl" + chunk("strh", stream) + chunk("strf", format));
    const std::string file = chunk("RIFF", "AVI " + chunk("LIST", header) + chunk("LIST", movie));
    return {file.begin(), file.end()};
}

}  // namespace lapidary::test
