// PNG to RGB8 with libpng. libpng reports errors by longjmp, so every call that can fail sits in a C-like
// function that owns nothing with a destructor; C++ objects live in decode_png, outside of any setjmp frame.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/try.h"
#include "model/media/exif.h"
#include "model/media/image_codecs.h"
#include "model/media/media_bytes.h"

namespace lapidary::model {

namespace {

// DEFLATE expands at most 1032-fold (258 bytes from 2 bits).
constexpr uint64_t kMaxInflation = 1032;

struct PngState {
    png_structp png = nullptr;
    png_infop info = nullptr;
    const uint8_t* data = nullptr;
    size_t size_bytes = 0;
    size_t position_bytes = 0;
    char message[128] = {};
    // Of the file:
    png_uint_32 width = 0;
    png_uint_32 height = 0;
    int bit_depth = 0;
    int color_type = 0;
    // Of the rows that libpng delivers after its transformations:
    size_t row_bytes = 0;
    int channels = 0;
    int passes = 0;
    int orientation = 1;
};

void on_error(png_structp png, png_const_charp message) {
    auto* state = static_cast<PngState*>(png_get_error_ptr(png));
    std::snprintf(state->message, sizeof state->message, "%s", message);
    png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep target, size_t count) {
    auto* state = static_cast<PngState*>(png_get_io_ptr(png));
    if (count > state->size_bytes - state->position_bytes) png_error(png, "the file ends early");
    std::memcpy(target, state->data + state->position_bytes, count);
    state->position_bytes += count;
}

// libpng asks for the memory of a chunk before it reads it, a gigabyte for a length that is damaged.
bool chunks_fit(const PngState* s) {
    constexpr size_t kSignature = 8, kFrame = 12;  // length, type and checksum around the data
    for (size_t at = kSignature; at + kFrame <= s->size_bytes;) {
        const size_t length = png_get_uint_32(s->data + at), left = s->size_bytes - at - kFrame;
        if (length > left) return false;
        if (std::memcmp(s->data + at + 4, "IEND", 4) == 0) return true;
        at += kFrame + length;
    }
    return true;
}

bool read_header(PngState* s) {
    if (setjmp(png_jmpbuf(s->png))) return false;
    png_set_read_fn(s->png, s, on_read);
    if (!chunks_fit(s)) png_error(s->png, "the file ends early");
    png_read_info(s->png, s->info);
    png_get_IHDR(s->png, s->info, &s->width, &s->height, &s->bit_depth, &s->color_type, nullptr, nullptr,
                 nullptr);
    return true;
}

bool is_grey_16(const PngState* s) { return s->color_type == PNG_COLOR_TYPE_GRAY && s->bit_depth == 16; }

// After this, rows are grey, grey+alpha, RGB or RGBA of 8 bits, except 16-bit grey without alpha (see
// to_rgb).
bool start_rows(PngState* s) {
    if (setjmp(png_jmpbuf(s->png))) return false;
    if (!is_grey_16(s)) {
        png_set_expand(s->png);    // palette to RGB, 1/2/4-bit grey to 8, tRNS to alpha
        png_set_strip_16(s->png);  // the high byte, as Pillow
    }
    s->passes = png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    s->row_bytes = png_get_rowbytes(s->png, s->info);
    s->channels = png_get_channels(s->png, s->info);
    return true;
}

bool read_rows(PngState* s, uint8_t* pixels) {
    if (setjmp(png_jmpbuf(s->png))) return false;
    for (int pass = 0; pass < s->passes; ++pass) {
        for (size_t y = 0; y < s->height; ++y) png_read_row(s->png, pixels + y * s->row_bytes, nullptr);
    }
    png_read_end(s->png, s->info);
    png_bytep exif = nullptr;
    png_uint_32 exif_bytes = 0;
    if (png_get_eXIf_1(s->png, s->info, &exif_bytes, &exif)) {
        s->orientation = exif_orientation({exif, exif_bytes});
    }
    return true;
}

// Over a white background: round((a*c + (255-a)*255) / 255), which is what Pillow's alpha_composite yields.
uint8_t over_white(uint8_t value, uint8_t alpha) {
    return static_cast<uint8_t>(255 - multiply_255(255u - value, alpha));
}

void pixel_to_rgb(const uint8_t* in, int channels, uint8_t* out) {
    const int colors = channels >= 3 ? 3 : 1;
    const bool has_alpha = channels == 2 || channels == 4;
    for (int c = 0; c < 3; ++c) {
        const uint8_t value = in[colors == 3 ? c : 0];
        out[c] = has_alpha ? over_white(value, in[colors]) : value;
    }
}

Image to_rgb(const PngState& s, const std::vector<uint8_t>& pixels, std::vector<uint8_t> rgb) {
    const size_t count = size_t{s.width} * s.height;
    uint8_t* out = rgb.data();
    if (is_grey_16(&s)) {
        // Pillow keeps 16-bit grey as integers and clamps them to 255 (it does not scale); so must we, for
        // parity.
        for (size_t i = 0; i < count; ++i) {
            const uint8_t value = pixels[2 * i] != 0 ? uint8_t{255} : pixels[2 * i + 1];
            std::fill_n(out + 3 * i, 3, value);
        }
    } else {
        for (size_t i = 0; i < count; ++i)
            pixel_to_rgb(pixels.data() + i * s.channels, s.channels, out + 3 * i);
    }
    return {s.width, s.height, std::move(rgb)};
}

// The most pixels that a body of `size_bytes` can hold, by its smallest row representation.
uint64_t max_pixels(const PngState& s) {
    const int samples = png_get_channels(s.png, s.info);
    const uint64_t bits_per_pixel = static_cast<uint64_t>(samples) * static_cast<uint64_t>(s.bit_depth);
    return s.size_bytes * kMaxInflation * 8 / bits_per_pixel;
}

Error damaged(const PngState& s, std::string_view name) {
    return media_error(name,
                       "damaged PNG: " + std::string(s.message) + " (" + std::to_string(s.position_bytes) +
                           " of " + std::to_string(s.size_bytes) + " bytes read)",
                       "copy or export the picture again");
}

Result<DecodedImage> decode(PngState& s, std::string_view name, Extent extent) {
    if (!read_header(&s)) return damaged(s, name);
    LAP_TRY(check_image_size(s.width, s.height, max_pixels(s), s.size_bytes, name));
    if (extent == Extent::header) return DecodedImage{{s.width, s.height, {}}, 1};
    if (!start_rows(&s)) return damaged(s, name);
    LAP_ASSIGN(std::vector<uint8_t> pixels, allocate_pixels(s.row_bytes * s.height, name));
    if (!read_rows(&s, pixels.data())) return damaged(s, name);
    if (s.channels == 3) return DecodedImage{{s.width, s.height, std::move(pixels)}, s.orientation};
    LAP_ASSIGN(std::vector<uint8_t> rgb, allocate_pixels(size_t{s.width} * s.height * 3, name));
    return DecodedImage{to_rgb(s, pixels, std::move(rgb)), s.orientation};
}

}  // namespace

Result<DecodedImage> decode_png(std::span<const uint8_t> bytes, std::string_view name, Extent extent) {
    PngState state;
    state.data = bytes.data();
    state.size_bytes = bytes.size();
    state.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
    state.info = state.png == nullptr ? nullptr : png_create_info_struct(state.png);
    if (state.info == nullptr) {
        png_destroy_read_struct(&state.png, nullptr, nullptr);
        return Error{Errc::out_of_memory, std::string(name) + ": no memory for the PNG decoder",
                     "close other programs"};
    }
    Result<DecodedImage> result = decode(state, name, extent);
    png_destroy_read_struct(&state.png, &state.info, nullptr);
    return result;
}

}  // namespace lapidary::model
