// JPEG to RGB8 with libjpeg(-turbo), with the settings Pillow uses (the library's defaults: accurate integer
// DCT, smooth chroma upsampling). libjpeg reports errors through a hook that may not return, so the calls
// that can fail sit in C-like functions under setjmp, which own nothing with a destructor.
#include <cstddef>
#include <cstdio>
// jpeglib.h needs FILE and size_t declared before it.
#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <cstring>
#include <utility>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/exif.h"
#include "model/media/image_codecs.h"
#include "model/media/media_bytes.h"

namespace lapidary::model {

namespace {

// A Huffman-coded file spends at least one bit per 8x8 block of its largest component.
constexpr uint64_t kMaxPixelsPerByte = 8 * 64;
// A progressive file may repeat scans without end, each costing a pass over the picture; real ones have
// about 10.
constexpr int kMaxScans = 256;

struct JpegState {
    jpeg_decompress_struct info = {};
    jpeg_error_mgr errors = {};
    jpeg_progress_mgr progress = {};
    jmp_buf on_failure;
    char message[JMSG_LENGTH_MAX] = {};
    const uint8_t* data = nullptr;
    size_t size_bytes = 0;
    int orientation = 1;
    bool ran_out = false;  // of bytes, which the end marker alone may do
};

JpegState* state_of(j_common_ptr info) { return static_cast<JpegState*>(info->client_data); }

[[noreturn]] void fail(j_common_ptr info) {
    JpegState* s = state_of(info);
    info->err->format_message(info, s->message);
    std::longjmp(s->on_failure, 1);
}

// Warnings are damage (bad codes, too few of them) and end decoding, except those that leave the pixels right. Bytes that
// run out are no damage yet: where pixels need more of them another warning follows.
void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    const int code = info->err->msg_code;
    const bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
    if (code == JWRN_JPEG_EOF) state_of(info)->ran_out = true;
    else if (!harmless) fail(info);
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
    auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
    if (decoder->input_scan_number <= kMaxScans) return;
    JpegState* s = state_of(info);
    std::snprintf(s->message, sizeof s->message, "more than %d scans", kMaxScans);
    std::longjmp(s->on_failure, 1);
}

void read_orientation(JpegState* s) {
    constexpr size_t kPrefixBytes = 6;
    for (jpeg_saved_marker_ptr marker = s->info.marker_list; marker != nullptr; marker = marker->next) {
        const bool is_exif = marker->marker == JPEG_APP0 + 1 && marker->data_length >= kPrefixBytes &&
                             std::memcmp(marker->data, "Exif\0\0", kPrefixBytes) == 0;
        if (!is_exif) continue;
        s->orientation = exif_orientation({marker->data + kPrefixBytes, marker->data_length - kPrefixBytes});
        return;
    }
}

bool read_header(JpegState* s) {
    s->info.err = jpeg_std_error(&s->errors);
    s->errors.error_exit = fail;
    s->errors.emit_message = on_message;
    s->errors.output_message = on_output;
    s->info.client_data = s;
    if (setjmp(s->on_failure)) return false;
    jpeg_create_decompress(&s->info);
    s->progress.progress_monitor = on_progress;
    s->info.progress = &s->progress;
    jpeg_mem_src(&s->info, s->data, static_cast<unsigned long>(s->size_bytes));
    jpeg_save_markers(&s->info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&s->info, TRUE);
    read_orientation(s);
    return true;
}

bool start(JpegState* s) {
    if (setjmp(s->on_failure)) return false;
    jpeg_start_decompress(&s->info);
    return true;
}

bool read_row(JpegState* s, uint8_t* pixels) {
    if (setjmp(s->on_failure)) return false;
    JSAMPROW row = pixels;
    jpeg_read_scanlines(&s->info, &row, 1);
    return true;
}

// Whether every bit of every coefficient has come, of a file that may have more scans than it still holds.
bool has_all_scans(const JpegState* s) {
    if (!s->info.progressive_mode) return s->info.comps_in_scan == s->info.num_components;
    for (int c = 0; c < s->info.num_components; ++c)
        for (int k = 0; k < DCTSIZE2; ++k)
            if (s->info.coef_bits[c][k] != 0) return false;
    return true;
}

bool finish(JpegState* s) {
    if (setjmp(s->on_failure)) return false;
    const bool whole = has_all_scans(s);  // finishing forgets it
    jpeg_finish_decompress(&s->info);
    if (s->ran_out && !whole) std::snprintf(s->message, sizeof s->message, "it ends early, before its last scan");
    return whole || !s->ran_out;
}

void grey_to_rgb(const std::vector<uint8_t>& grey, uint8_t* rgb) {
    for (size_t i = 0; i < grey.size(); ++i) std::memset(rgb + 3 * i, grey[i], 3);
}

// Four-component JPEGs follow Adobe and store inverted ink, so a stored value is 255 - ink, and Pillow's
// (255-k) - round(c*(255-k)/255) becomes the below. Like Pillow, no colour profile is applied.
void inverted_cmyk_to_rgb(const std::vector<uint8_t>& cmyk, uint8_t* rgb) {
    for (size_t i = 0; i < cmyk.size() / 4; ++i) {
        const uint32_t not_black = cmyk[4 * i + 3];
        for (size_t c = 0; c < 3; ++c) {
            const uint32_t ink = 255u - cmyk[4 * i + c];
            rgb[3 * i + c] = static_cast<uint8_t>(not_black - multiply_255(ink, not_black));
        }
    }
}

Error damaged(const JpegState& s, std::string_view name) {
    return media_error(name, concat("damaged JPEG (", s.size_bytes, " bytes): ", s.message), "copy or export the picture again");
}

Result<void> check_header(JpegState& s, std::string_view name) {
    const int components = s.info.num_components;
    if (components != 1 && components != 3 && components != 4)
        return media_error(name, concat("JPEG with ", components, " components; 1, 3 and 4 are read"),
                           "convert the picture to RGB");
    if (s.info.arith_code)
        return media_error(name, "JPEG with arithmetic coding", "save the picture as an ordinary JPEG or as PNG");
    return check_image_size(s.info.image_width, s.info.image_height, s.size_bytes * kMaxPixelsPerByte,
                            s.size_bytes, name);
}

Result<DecodedImage> decode(JpegState& s, std::string_view name, Extent extent) {
    if (!read_header(&s)) return damaged(s, name);
    LAP_TRY(check_header(s, name));
    if (extent == Extent::header) return DecodedImage{{s.info.image_width, s.info.image_height, {}}, 1};
    const uint32_t width = s.info.image_width;
    const uint32_t height = s.info.image_height;
    const int components = s.info.num_components;
    s.info.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    // Row by row, so that no more than the RGB is ever held.
    LAP_ASSIGN(std::vector<uint8_t> rgb, allocate_pixels(size_t{width} * height * 3, name));
    LAP_ASSIGN(std::vector<uint8_t> row, allocate_pixels(size_t{width} * static_cast<size_t>(components), name));
    if (!start(&s)) return damaged(s, name);
    for (uint32_t y = 0; y < height; ++y) {
        uint8_t* out = rgb.data() + size_t{y} * width * 3;
        if (!read_row(&s, components == 3 ? out : row.data())) return damaged(s, name);
        if (components == 1) grey_to_rgb(row, out);
        if (components == 4) inverted_cmyk_to_rgb(row, out);
    }
    if (!finish(&s)) return damaged(s, name);
    return DecodedImage{{width, height, std::move(rgb)}, s.orientation};
}

}  // namespace

Result<DecodedImage> decode_jpeg(std::span<const uint8_t> bytes, std::string_view name, Extent extent) {
    JpegState state;
    state.data = bytes.data();
    state.size_bytes = bytes.size();
    Result<DecodedImage> result = decode(state, name, extent);
    jpeg_destroy_decompress(&state.info);
    return result;
}

}  // namespace lapidary::model
