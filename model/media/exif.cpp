// TIFF directory walk for tag 0x0112, every read bounds-checked, and the eight orientations of the EXIF
// standard.
#include "model/media/exif.h"

#include <cstring>
#include <optional>
#include <utility>

#include "base/try.h"
#include "model/media/image_codecs.h"

namespace lapidary::model {

namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kTypeShort = 3;
constexpr uint32_t kTypeLong = 4;
constexpr size_t kEntryBytes = 12;

class TiffReader {
  public:
    TiffReader(std::span<const uint8_t> bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

    // `count` bytes (2 or 4) at `offset`, or nothing beyond the end.
    std::optional<uint32_t> number(size_t offset, size_t count) const {
        if (offset > bytes_.size() || bytes_.size() - offset < count) return std::nullopt;
        uint32_t value = 0;
        for (size_t i = 0; i < count; ++i) {
            const size_t from_top = big_endian_ ? i : count - 1 - i;
            value = value << 8 | bytes_[offset + from_top];
        }
        return value;
    }

  private:
    std::span<const uint8_t> bytes_;
    bool big_endian_;
};

// Value of an orientation entry; SHORTs lie left-aligned in the 4-byte value field.
std::optional<uint32_t> entry_value(const TiffReader& tiff, size_t entry) {
    const auto type = tiff.number(entry + 2, 2);
    if (type == kTypeShort) return tiff.number(entry + 8, 2);
    if (type == kTypeLong) return tiff.number(entry + 8, 4);
    return std::nullopt;
}

}  // namespace

int exif_orientation(std::span<const uint8_t> bytes) {
    if (bytes.size() < 8) return 1;
    const bool little_endian = std::memcmp(bytes.data(), "II*\0", 4) == 0;
    if (!little_endian && std::memcmp(bytes.data(), "MM\0*", 4) != 0) return 1;
    const TiffReader tiff(bytes, !little_endian);
    const size_t directory = tiff.number(4, 4).value_or(0);
    const uint32_t entries = tiff.number(directory, 2).value_or(0);
    for (uint32_t i = 0; i < entries; ++i) {
        const size_t entry = directory + 2 + i * kEntryBytes;
        const auto tag = tiff.number(entry, 2);
        if (!tag) return 1;
        if (*tag != kOrientationTag) continue;
        const uint32_t value = entry_value(tiff, entry).value_or(1);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

Result<Image> apply_orientation(Image image, int orientation, std::string_view name) {
    if (orientation <= 1 || orientation > 8) return image;
    // EXIF: 2 mirrored, 3 half turn, 4 flipped, 5 transposed, 6 needs a quarter turn clockwise, 7
    // transversed, 8 needs one anticlockwise. As "output (x, y) reads input": swap the axes, then mirror
    // either.
    const bool swap_axes = orientation >= 5;
    const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Image out;
    out.width = swap_axes ? image.height : image.width;
    out.height = swap_axes ? image.width : image.height;
    LAP_ASSIGN(out.rgb, allocate_pixels(image.rgb.size(), name));
    uint8_t* target = out.rgb.data();
    for (uint32_t y = 0; y < out.height; ++y) {
        for (uint32_t x = 0; x < out.width; ++x, target += 3) {
            const uint32_t u = swap_axes ? y : x;
            const uint32_t v = swap_axes ? x : y;
            const size_t column = mirror_x ? image.width - 1 - u : u;
            const size_t row = mirror_y ? image.height - 1 - v : v;
            std::memcpy(target, image.rgb.data() + (row * image.width + column) * 3, 3);
        }
    }
    return out;
}

}  // namespace lapidary::model
