// A PNG, JPEG, WebP or GIF file: decoded, fitted to a budget of soft tokens, cut into patches.
#include <cstring>

#include "model/media/image_file.h"
#include "model/media/patches.h"
#include "model/media/placeholders.h"
#include "model/media/resize.h"
#include "tests/fuzz/media_seeds.h"
#include "tests/fuzz/model_check.h"

namespace lapidary::fuzz {
namespace {

using namespace lapidary::model;

void check_patches(const Image& image, uint32_t budget, PatchGeometry geometry, PatchOrder order) {
    const ImageSize source{image.width, image.height};
    const auto size = target_size(source, budget, geometry);
    if (!size) return check_error(size.error());
    const auto resized = resize_image(image, *size);
    if (!resized) return check_error(resized.error());
    const auto patches = image_to_patches(*resized, geometry.side(), order);
    promise(patches.has_value(), "a picture of the target size cannot be cut");
    const auto expected = image_soft_tokens(source, budget, geometry);
    promise(expected.has_value() && *expected == patches->positions.size(), "not as many rows as announced");
    promise(*expected <= budget, "more rows than the budget");
    promise(patches->values.size() == patches->positions.size() * patches->values_per_row,
            "rows of wrong size");
    for (const float value : patches->values) promise(value >= 0 && value <= 1, "a pixel outside 0 to 1");
}

void one(Bytes bytes) {
    const auto image = decode_image(bytes, "picture");
    if (!image) return check_error(image.error());
    promise(image->width > 0 && image->height > 0, "a picture without pixels");
    promise(image->rgb.size() == size_t{image->width} * image->height * 3,
            "not as many pixels as the size says");
    const uint32_t choice = hash_of(bytes);
    const PatchOrder order = choice & 1 ? PatchOrder::planar : PatchOrder::interleaved;
    if (choice % 32 == 2)  // the model's own geometry, which takes a hundred times as long
        check_patches(*image, kImageBudgetsTokens[0], {}, order);
    else
        check_patches(*image, 1 + choice / 2 % 16, {1 + choice / 64 % 3, 1 + choice / 256 % 3}, order);
}

// CRC-32 of PNG: polynomial 0xedb88320, reflected.
uint32_t png_crc(std::string_view bytes) {
    uint32_t crc = ~0u;
    for (const char byte : bytes) {
        crc ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

uint32_t big_endian(const std::string& bytes, size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

// The chunks of a PNG with right checksums; other files stay as they are.
std::string mend(std::string file) {
    constexpr size_t kSignature = 8, kAround = 12;  // length and type in front, checksum behind
    if (!file.starts_with("\x89PNG")) return file;
    for (size_t at = kSignature; file.size() >= kAround && at <= file.size() - kAround;) {
        const uint32_t length = big_endian(file, at);
        if (length > file.size() - kAround - at) return file;
        const uint32_t crc = png_crc(std::string_view(file).substr(at + 4, length + 4));
        for (size_t i = 0; i < 4; i++) file[at + 8 + length + i] = static_cast<char>(crc >> (24 - 8 * i));
        at += kAround + length;
    }
    return file;
}

// Files, and files without their end mark.
std::vector<std::string> seeds() {
    auto out = media_files({".png", ".jpg", ".webp", ".gif"});
    for (size_t i = 0, whole = out.size(); i < whole; i += 8)
        out.push_back(out[i].substr(0, out[i].size() - (out[i].starts_with("\x89PNG") ? 12 : 2)));
    return out;
}

std::vector<std::string> words() {
    using namespace std::string_literals;
    return {"\x89PNG\r\n\x1a\n"s,
            "IHDR",
            "IDAT",
            "PLTE",
            "tRNS",
            "gAMA",
            "iCCP",
            "sRGB",
            "cHRM",
            "eXIf",
            "IEND",
            "acTL",
            "VP8 ",
            "VP8L",
            "VP8X",
            "ALPH",
            "ANIM",
            "ANMF",
            "EXIF",
            "\x21\xf9\x04"s,
            "\x2c"s,
            "zTXt",
            "sBIT",
            "bKGD",
            "\xff\xd8\xff"s,
            "\xff\xc0"s,
            "\xff\xc2"s,
            "\xff\xc4"s,
            "\xff\xda"s,
            "\xff\xdb"s,
            "\xff\xdd"s,
            "\xff\xe1"s,
            "\xff\xee"s,
            "Exif\0\0"s,
            "Adobe",
            "II*\0"s,
            "MM\0*"s,
            "\x12\x01\x03\0"s,
            "\0\0\x7f\xff"s,
            "\xff\xff"s};
}

}  // namespace

const Target kPicture = {
    .name = "picture", .max_bytes = 16 << 10, .one = one, .seeds = seeds, .words = words, .mend = mend};

}  // namespace lapidary::fuzz
