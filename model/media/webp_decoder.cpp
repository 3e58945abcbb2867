// WebP to RGB8 with libwebp: still pictures, and of animated ones the first frame on its canvas. Lossless WebP may say any
// number of pixels in a few bytes, so kMaxImagePixels alone bounds what a header makes us allocate.
#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/exif.h"
#include "model/media/image_codecs.h"
#include "model/media/media_bytes.h"
#include "model/media/sound_container.h"

namespace lapidary::model {

namespace {

struct DeleteDemuxer {
    void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};
struct DeleteAnimation {
    void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

Error damaged_webp(std::span<const uint8_t> bytes, std::string_view name, std::string_view what) {
    return media_error(name, concat("damaged WebP (", bytes.size(), " bytes): ", what), "copy or export the picture again");
}

// Of the EXIF chunk, which some writers begin as a JPEG's.
int webp_orientation(std::span<const uint8_t> bytes) {
    constexpr size_t kPrefixBytes = 6;
    const WebPData data = {bytes.data(), bytes.size()};
    const std::unique_ptr<WebPDemuxer, DeleteDemuxer> demuxer(WebPDemux(&data));
    WebPChunkIterator chunk = {};
    if (!demuxer || !WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk)) return 1;
    std::span<const uint8_t> exif(chunk.chunk.bytes, chunk.chunk.size);
    if (exif.size() >= kPrefixBytes && std::memcmp(exif.data(), "Exif\0\0", kPrefixBytes) == 0) exif = exif.subspan(kPrefixBytes);
    const int orientation = exif_orientation(exif);
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
}

void rgba_to_rgb(const uint8_t* rgba, size_t pixels, uint8_t* rgb) {
    for (size_t i = 0; i < pixels; ++i)
        for (size_t c = 0; c < 3; ++c) rgb[3 * i + c] = over_white(rgba[4 * i + c], rgba[4 * i + 3]);
}

Result<std::vector<uint8_t>> still(std::span<const uint8_t> bytes, const WebPBitstreamFeatures& f, std::string_view name) {
    const size_t width = static_cast<size_t>(f.width), pixels = width * static_cast<size_t>(f.height);
    const size_t channels = f.has_alpha ? 4 : 3;
    LAP_ASSIGN(std::vector<uint8_t> values, allocate_pixels(pixels * channels, name));
    const int stride = static_cast<int>(width * channels);
    const bool done = f.has_alpha ? WebPDecodeRGBAInto(bytes.data(), bytes.size(), values.data(), values.size(), stride) != nullptr
                                  : WebPDecodeRGBInto(bytes.data(), bytes.size(), values.data(), values.size(), stride) != nullptr;
    if (!done) return damaged_webp(bytes, name, "its pixels cannot be decoded, or are not all there");
    if (f.has_alpha) rgba_to_rgb(values.data(), pixels, values.data());  // in place: what is written was read
    values.resize(pixels * 3);
    return values;
}

Result<std::vector<uint8_t>> first_frame(std::span<const uint8_t> bytes, const WebPBitstreamFeatures& f, std::string_view name) {
    const WebPData data = {bytes.data(), bytes.size()};
    const std::unique_ptr<WebPAnimDecoder, DeleteAnimation> decoder(WebPAnimDecoderNew(&data, nullptr));
    if (!decoder) return damaged_webp(bytes, name, "its frames cannot be read");
    uint8_t* canvas = nullptr;  // RGBA, the decoder's own
    int time = 0;
    if (!WebPAnimDecoderGetNext(decoder.get(), &canvas, &time)) return damaged_webp(bytes, name, "its first frame cannot be decoded");
    const size_t pixels = static_cast<size_t>(f.width) * static_cast<size_t>(f.height);
    LAP_ASSIGN(std::vector<uint8_t> rgb, allocate_pixels(pixels * 3, name));
    rgba_to_rgb(canvas, pixels, rgb.data());
    return rgb;
}

}  // namespace

Result<DecodedImage> decode_webp(std::span<const uint8_t> bytes, std::string_view name, Extent extent) {
    constexpr size_t kHeaderBytes = 8;  // RIFF and the size of what follows
    if (bytes.size() < kHeaderBytes || little_endian_32(bytes.data() + 4) > bytes.size() - kHeaderBytes)
        return damaged_webp(bytes, name, "it ends early");
    WebPBitstreamFeatures features = {};
    if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK)
        return damaged_webp(bytes, name, "its header cannot be read");
    const auto width = static_cast<uint32_t>(features.width), height = static_cast<uint32_t>(features.height);
    LAP_TRY(check_image_size(width, height, kMaxImagePixels, bytes.size(), name));
    if (extent == Extent::header) return DecodedImage{{width, height, {}}, 1};
    LAP_ASSIGN(std::vector<uint8_t> rgb,
               features.has_animation ? first_frame(bytes, features, name) : still(bytes, features, name));
    return DecodedImage{{width, height, std::move(rgb)}, webp_orientation(bytes)};
}

}  // namespace lapidary::model
