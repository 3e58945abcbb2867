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

#include "base/describe.h"
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
    bool ran_out = false;  // of bytes
};

void on_error(png_structp png, png_const_charp message) {
    auto* state = static_cast<PngState*>(png_get_error_ptr(png));
    std::snprintf(state->message, sizeof state->message, "%s", message);
    png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep target, size_t count) {
    auto* state = static_cast<PngState*>(png_get_io_ptr(png));
    state->ran_out = count > state->size_bytes - state->position_bytes;
    if (state->ran_out) png_error(png, "it ends early");
    std::memcpy(target, state->data + state->position_bytes, count);
    state->position_bytes += count;
}

// libpng asks for the memory of a chunk before it reads it, a gigabyte for a length that is damaged.
// Of the last chunk alone, which holds nothing, a part may be missing.
bool chunks_fit(PngState* s) {
    constexpr size_t kSignature = 8, kFrame = 12;  // length, type and checksum around the data
    constexpr char kEnd[] = "\0\0\0\0IEND\xae\x42\x60\x82";
    size_t at = kSignature;
    while (at + kFrame <= s->size_bytes) {
        const size_t length = png_get_uint_32(s->data + at);
        if (length > s->size_bytes - at - kFrame) break;
        if (std::memcmp(s->data + at + 4, "IEND", 4) == 0) return true;
        at += kFrame + length;
    }
    const size_t left = s->size_bytes - std::min(at, s->size_bytes);
    if (left < kFrame && std::memcmp(s->data + at, kEnd, left) == 0) return true;
    std::snprintf(s->message, sizeof s->message, "it ends inside its part at byte %zu", at);
    return false;
}

bool read_header(PngState* s) {
    if (!chunks_fit(s)) return false;
    if (setjmp(png_jmpbuf(s->png))) return false;
    png_set_read_fn(s->png, s, on_read);
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

// Behind the pixels: what stands there may be missing, but not wrong.
bool read_rest(PngState* s) {
    if (setjmp(png_jmpbuf(s->png))) return s->ran_out;
    png_read_end(s->png, s->info);
    return true;
}

bool read_row(PngState* s, uint8_t* row) {
    if (setjmp(png_jmpbuf(s->png))) return false;
    png_read_row(s->png, row, nullptr);
    return true;
}

// Interlaced pictures come in passes over all of it.
bool read_passes(PngState* s, uint8_t* pixels) {
    if (setjmp(png_jmpbuf(s->png))) return false;
    for (int pass = 0; pass < s->passes; ++pass) {
        for (size_t y = 0; y < s->height; ++y) png_read_row(s->png, pixels + y * s->row_bytes, nullptr);
    }
    return true;
}

void read_orientation(PngState* s) {
    png_bytep exif = nullptr;
    png_uint_32 exif_bytes = 0;
    if (png_get_eXIf_1(s->png, s->info, &exif_bytes, &exif)) s->orientation = exif_orientation({exif, exif_bytes});
}

void pixel_to_rgb(const uint8_t* in, int channels, uint8_t* out) {
    const int colors = channels >= 3 ? 3 : 1;
    const bool has_alpha = channels == 2 || channels == 4;
    for (int c = 0; c < 3; ++c) {
        const uint8_t value = in[colors == 3 ? c : 0];
        out[c] = has_alpha ? over_white(value, in[colors]) : value;
    }
}

// Pillow keeps 16-bit grey as integers and clamps them to 255 (it does not scale); so must we, for parity.
void grey_16_to_rgb(const uint8_t* in, uint8_t* out) {
    const uint8_t value = in[0] != 0 ? uint8_t{255} : in[1];
    std::fill_n(out, 3, value);
}

// `out` may be `in`: pixels that grow are turned from the last on, those that shrink from the first.
void to_rgb(const PngState& s, const uint8_t* in, size_t count, uint8_t* out) {
    const bool wide_grey = is_grey_16(&s);
    const size_t pixel_bytes = wide_grey ? 2 : static_cast<size_t>(s.channels);
    for (size_t i = 0; i < count; ++i) {
        const size_t at = pixel_bytes < 3 ? count - 1 - i : i;
        uint8_t pixel[4];
        std::memcpy(pixel, in + at * pixel_bytes, pixel_bytes);
        if (wide_grey)
            grey_16_to_rgb(pixel, out + 3 * at);
        else
            pixel_to_rgb(pixel, s.channels, out + 3 * at);
    }
}

Error damaged(const PngState& s, std::string_view name) {
    const std::string where = s.position_bytes > 0 && !s.ran_out ? concat(" before byte ", s.position_bytes) : "";
    return media_error(name, concat("damaged PNG (", s.size_bytes, " bytes): ", s.message, where),
                       "copy or export the picture again");
}

// Row by row, so that no more than the RGB is ever held; an interlaced picture is turned in its place.
Result<std::vector<uint8_t>> read_rgb(PngState& s, std::string_view name) {
    const size_t width = s.width, height = s.height, rgb_bytes = width * height * 3;
    if (s.passes > 1) {
        LAP_ASSIGN(std::vector<uint8_t> pixels, allocate_pixels(std::max(s.row_bytes * height, rgb_bytes), name));
        if (!read_passes(&s, pixels.data())) return damaged(s, name);
        if (s.channels != 3) to_rgb(s, pixels.data(), width * height, pixels.data());
        pixels.resize(rgb_bytes);
        return pixels;
    }
    LAP_ASSIGN(std::vector<uint8_t> rgb, allocate_pixels(rgb_bytes, name));
    LAP_ASSIGN(std::vector<uint8_t> row, allocate_pixels(s.row_bytes, name));
    for (size_t y = 0; y < height; ++y) {
        uint8_t* out = rgb.data() + y * width * 3;
        if (!read_row(&s, s.channels == 3 ? out : row.data())) return damaged(s, name);
        if (s.channels != 3) to_rgb(s, row.data(), width, out);
    }
    return rgb;
}

// The most pixels that a body of `size_bytes` can hold, by its smallest row representation.
uint64_t max_pixels(const PngState& s) {
    const int samples = png_get_channels(s.png, s.info);
    const uint64_t bits_per_pixel = static_cast<uint64_t>(samples) * static_cast<uint64_t>(s.bit_depth);
    return s.size_bytes * kMaxInflation * 8 / bits_per_pixel;
}

Result<DecodedImage> decode(PngState& s, std::string_view name, Extent extent) {
    if (!read_header(&s)) return damaged(s, name);
    LAP_TRY(check_image_size(s.width, s.height, max_pixels(s), s.size_bytes, name));
    if (extent == Extent::header) return DecodedImage{{s.width, s.height, {}}, 1};
    if (!start_rows(&s)) return damaged(s, name);
    LAP_ASSIGN(std::vector<uint8_t> rgb, read_rgb(s, name));
    if (!read_rest(&s)) return damaged(s, name);
    read_orientation(&s);
    return DecodedImage{{s.width, s.height, std::move(rgb)}, s.orientation};
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
