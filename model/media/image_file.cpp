// Chooses the decoder by signature, and turns its result upright.
#include "model/media/image_file.h"

#include <new>
#include <string>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/exif.h"
#include "model/media/image_codecs.h"
#include "model/media/media_bytes.h"

namespace lapidary::model {

Result<void> check_image_size(uint64_t width, uint64_t height, uint64_t max_plausible_pixels,
                              size_t file_bytes, std::string_view name) {
    const std::string size = concat(width, "x", height);
    if (width == 0 || height == 0) return media_error(name, concat("claims ", size, " pixels"), "the file is damaged");
    if (width > kMaxImagePixels / height)
        return media_error(name, concat("has ", size, " pixels, the limit is ", kMaxImagePixels), "scale the picture down first");
    if (width * height > max_plausible_pixels)
        return media_error(
            name, concat("claims ", size, " pixels, but its ", file_bytes, " bytes hold at most ", max_plausible_pixels),
            "the file is truncated or damaged");
    return {};
}

Result<std::vector<uint8_t>> allocate_pixels(size_t count, std::string_view name) {
    try {
        return std::vector<uint8_t>(count);
    } catch (const std::bad_alloc&) {
        return Error{Errc::out_of_memory, concat(name, ": no memory for ", count, " bytes of pixels"),
                     "close other programs or scale the picture down"};
    }
}

namespace {

Result<DecodedImage> decode(std::span<const uint8_t> bytes, std::string_view name, Extent extent) {
    const std::string_view type = detect_media_type(bytes);
    if (type == "PNG") return decode_png(bytes, name, extent);
    if (type == "JPEG") return decode_jpeg(bytes, name, extent);
    if (type == "WebP") return decode_webp(bytes, name, extent);
    if (type == "GIF") return decode_gif(bytes, name, extent);
    const std::string what = bytes.empty() ? "is empty (0 bytes)" : concat("is ", type, ", not PNG, JPEG, WebP or GIF");
    return media_error(name, what, "convert the picture to PNG or JPEG");
}

}  // namespace

Result<Image> decode_image(std::span<const uint8_t> bytes, std::string_view name, const SizeCheck& check) {
    if (check) {
        LAP_ASSIGN(const DecodedImage header, decode(bytes, name, Extent::header));
        LAP_TRY(check(header.image.width, header.image.height));
    }
    LAP_ASSIGN(DecodedImage decoded, decode(bytes, name, Extent::all));
    return apply_orientation(std::move(decoded.image), decoded.orientation, name);
}

Result<void> check_image(std::span<const uint8_t> bytes, std::string_view name) {
    LAP_TRY(decode(bytes, name, Extent::header));
    return {};
}

Result<void> check_image(const std::filesystem::path& path) {
    LAP_ASSIGN(const std::vector<uint8_t> bytes, read_media_file(path));
    return check_image(bytes, path.string());
}

Result<Image> read_image(const std::filesystem::path& path, const SizeCheck& check) {
    LAP_ASSIGN(const std::vector<uint8_t> bytes, read_media_file(path));
    return decode_image(bytes, path.string(), check);
}

}  // namespace lapidary::model
