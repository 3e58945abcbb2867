// The first frame of a GIF to RGB8 with giflib, record by record: what follows it is not read. As Pillow, the frame lies on a
// canvas of its transparent colour, which becomes white, or of its colour 0.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/image_codecs.h"
#include "model/media/media_bytes.h"

namespace lapidary::model {

namespace {

// A code of up to 12 bits stands for at most 4096 pixels.
constexpr uint64_t kMaxPixelsPerGifByte = 4096;

struct GifBytes {
    std::span<const uint8_t> bytes;
    size_t position = 0;
};

int read_gif(GifFileType* gif, GifByteType* target, int count) {
    auto* from = static_cast<GifBytes*>(gif->UserData);
    const size_t there = std::min(static_cast<size_t>(std::max(count, 0)), from->bytes.size() - from->position);
    std::memcpy(target, from->bytes.data() + from->position, there);
    from->position += there;
    return static_cast<int>(there);
}

struct CloseGif {
    void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};

using Rgb = std::array<uint8_t, 3>;

class GifReader {
  public:
    GifReader(std::span<const uint8_t> bytes, std::string_view name) : source_{bytes}, name_(name) {}

    Result<DecodedImage> decode(Extent extent) {
        int code = 0;
        gif_.reset(DGifOpen(&source_, read_gif, &code));
        if (!gif_) return damaged(code);
        LAP_TRY(find_frame());
        const GifImageDesc& frame = gif_->Image;
        const auto width = static_cast<uint32_t>(std::max(gif_->SWidth, frame.Left + frame.Width));
        const auto height = static_cast<uint32_t>(std::max(gif_->SHeight, frame.Top + frame.Height));
        if (frame.Width < 1 || frame.Height < 1) return media_error(name_, "its first frame has no pixels", "the file is damaged");
        LAP_TRY(check_image_size(width, height, source_.bytes.size() * kMaxPixelsPerGifByte, source_.bytes.size(), name_));
        Image image{width, height, {}};
        if (extent == Extent::header) return DecodedImage{std::move(image), 1};
        LAP_ASSIGN(image.rgb, allocate_pixels(size_t{width} * height * 3, name_));
        take_colors();
        const Rgb around = colors_[static_cast<size_t>(transparent_.value_or(0))];
        for (size_t at = 0; at < image.rgb.size(); at += 3) std::copy(around.begin(), around.end(), &image.rgb[at]);
        LAP_TRY(read_rows(image));
        return DecodedImage{std::move(image), 1};
    }

  private:
    Error damaged(int code) const {
        const char* why = GifErrorString(code);
        return media_error(name_, concat("damaged GIF (", source_.bytes.size(), " bytes): ", why ? why : "it ends early"),
                           "copy or export the picture again");
    }

    // Reads on to the description of the first frame; of what stands before it only the transparent colour counts.
    Result<void> find_frame() {
        for (;;) {
            GifRecordType record = UNDEFINED_RECORD_TYPE;
            if (DGifGetRecordType(gif_.get(), &record) != GIF_OK) return damaged(gif_->Error);
            if (record == IMAGE_DESC_RECORD_TYPE)
                return DGifGetImageDesc(gif_.get()) == GIF_OK ? Result<void>() : Result<void>(damaged(gif_->Error));
            if (record == TERMINATE_RECORD_TYPE) return media_error(name_, "is a GIF without a frame", "the file is damaged");
            LAP_TRY(read_extension());
        }
    }

    Result<void> read_extension() {
        int kind = 0;
        GifByteType* block = nullptr;
        if (DGifGetExtension(gif_.get(), &kind, &block) != GIF_OK) return damaged(gif_->Error);
        while (block != nullptr) {
            GraphicsControlBlock control = {};
            if (kind == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK &&
                control.TransparentColor >= 0)
                transparent_ = control.TransparentColor;
            if (DGifGetExtensionNext(gif_.get(), &block) != GIF_OK) return damaged(gif_->Error);
        }
        return {};
    }

    // Indices without a colour are greys.
    void take_colors() {
        for (size_t i = 0; i < colors_.size(); ++i) colors_[i].fill(static_cast<uint8_t>(i));
        const ColorMapObject* map = gif_->Image.ColorMap ? gif_->Image.ColorMap : gif_->SColorMap;
        const int count = map ? std::min(map->ColorCount, 256) : 0;
        for (int i = 0; i < count; ++i)
            colors_[static_cast<size_t>(i)] = {map->Colors[i].Red, map->Colors[i].Green, map->Colors[i].Blue};
        if (transparent_) colors_[static_cast<size_t>(*transparent_ & 0xff)].fill(255);
    }

    Result<void> read_rows(Image& image) {
        const GifImageDesc& frame = gif_->Image;
        const size_t width = static_cast<size_t>(frame.Width);
        std::vector<GifPixelType> row(width);
        const auto read = [&](int y) -> Result<void> {
            if (DGifGetLine(gif_.get(), row.data(), frame.Width) != GIF_OK) return damaged(gif_->Error);
            uint8_t* out = &image.rgb[(static_cast<size_t>(frame.Top + y) * image.width + static_cast<size_t>(frame.Left)) * 3];
            for (const GifPixelType index : row) out = std::copy_n(colors_[index].begin(), 3, out);
            return {};
        };
        struct Pass {
            int first, step;
        };
        static constexpr Pass kWhole[] = {{0, 1}}, kInterlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
        for (const Pass& pass : frame.Interlace ? std::span<const Pass>(kInterlaced) : std::span<const Pass>(kWhole))
            for (int y = pass.first; y < frame.Height; y += pass.step) LAP_TRY(read(y));
        return {};
    }

    GifBytes source_;  // outlives gif_, which reads it
    std::string_view name_;
    std::unique_ptr<GifFileType, CloseGif> gif_;
    std::optional<int> transparent_;
    std::array<Rgb, 256> colors_ = {};
};

}  // namespace

Result<DecodedImage> decode_gif(std::span<const uint8_t> bytes, std::string_view name, Extent extent) {
    return GifReader(bytes, name).decode(extent);
}

}  // namespace lapidary::model
