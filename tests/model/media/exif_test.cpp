// The EXIF reader against good, odd and damaged blocks, and the eight orientations by their definition.
#include "model/media/exif.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/model/media/support.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

// A little-endian TIFF block with one directory entry at byte 10.
std::vector<uint8_t> tiff_block(uint8_t tag_low, uint8_t type, uint8_t value) {
    return {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, tag_low, 1, type, 0, 1, 0, 0, 0, value, 0, 0, 0, 0, 0, 0, 0};
}

}  // namespace

TEST_CASE("exif_orientation: values, types and foreign tags") {
    for (uint8_t value = 1; value <= 8; ++value) {
        CHECK(exif_orientation(tiff_block(0x12, 3, value)) == value);
        CHECK(exif_orientation(tiff_block(0x12, 4, value)) == value);
    }
    CHECK(exif_orientation(tiff_block(0x12, 3, 0)) == 1);
    CHECK(exif_orientation(tiff_block(0x12, 3, 9)) == 1);
    CHECK(exif_orientation(tiff_block(0x12, 2, 6)) == 1);
    CHECK(exif_orientation(tiff_block(0x13, 3, 6)) == 1);
}

TEST_CASE("exif_orientation: big-endian") {
    const std::vector<uint8_t> block = {'M',  'M', 0, '*', 0, 0, 0, 8, 0, 1, 1,
                                        0x12, 0,   3, 0,   0, 0, 1, 0, 6, 0, 0};
    CHECK(exif_orientation(block) == 6);
}

TEST_CASE("exif_orientation: cut or hostile blocks mean upright, and are never read beyond their end") {
    const std::vector<uint8_t> whole = tiff_block(0x12, 3, 6);
    for (size_t size = 0; size < 20; ++size) {
        const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK(exif_orientation(cut) == 1);
    }
    std::vector<uint8_t> hostile = whole;
    for (size_t i = 4; i < 8; ++i) hostile[i] = 0xff;  // directory at 4 GiB
    CHECK(exif_orientation(hostile) == 1);
    hostile = whole;
    hostile[8] = hostile[9] = 0xff;  // 65535 entries
    hostile[10] = 0;
    CHECK(exif_orientation(hostile) == 1);
}

TEST_CASE("apply_orientation: where the corners go") {
    // a b c      The letters are red values; EXIF's number says which side of the scene row 0 and column 0
    // are. d e f
    Image image{3, 2, {}};
    for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f'}) {
        for (int c = 0; c < 3; ++c) image.rgb.push_back(static_cast<uint8_t>(letter + 10 * c));
    }
    const std::string want[] = {"abcdef", "cbafed", "fedcba", "defabc",
                                "adbecf", "daebfc", "fcebda", "cfbead"};
    for (int orientation = 1; orientation <= 8; ++orientation) {
        const Image out = apply_orientation(image, orientation, "picture").value();
        CHECK(out.width == (orientation >= 5 ? 2 : 3));
        CHECK(out.height == (orientation >= 5 ? 3 : 2));
        std::string red;
        for (size_t i = 0; i < out.rgb.size(); i += 3) {
            red += static_cast<char>(out.rgb[i]);
            CHECK(out.rgb[i + 2] == out.rgb[i] + 20);
        }
        CHECK(red == want[orientation - 1]);
    }
}
