// Walks over the outermost sizes alone; see video_container.h.
#include "model/media/video_container.h"

#include <array>
#include <cstring>
#include <optional>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/media_bytes.h"
#include "model/media/sound_container.h"

namespace lapidary::model {

namespace {

Error cut(const MediaSource& source, uint64_t claimed) {
    return media_error(source.name(),
                       concat("truncated: its header claims ", claimed, " bytes, ", source.size(), " are there"),
                       "copy or export it again");
}

// ISO 14496-12: 32 bits of size and a name; size 1: 64 bits follow; 0: to the end.
Result<void> check_boxes(const MediaSource& source) {
    constexpr uint64_t kLeast = 8;
    for (uint64_t at = 0; at + kLeast <= source.size();) {
        std::array<uint8_t, 16> head = {};
        if (source.read_at(at, head) < static_cast<int64_t>(kLeast)) break;
        uint64_t size = big_endian_32(head.data());
        if (size == 1) size = uint64_t{big_endian_32(head.data() + 8)} << 32 | big_endian_32(head.data() + 12);
        if (size == 0) return {};
        if (size < kLeast) return {};  // damage that the demuxer names
        if (size > source.size() - at) return cut(source, at + size);
        at += size;
    }
    return {};
}

// A number of EBML (RFC 8794, 4): its length in the leading zeros of the first byte. `keep`: with the marker, as in ids.
std::optional<uint64_t> ebml_number(const MediaSource& source, uint64_t& at, bool keep, bool& unknown) {
    std::array<uint8_t, 8> bytes = {};
    if (source.read_at(at, bytes) < 1 || bytes[0] == 0) return std::nullopt;
    size_t length = 1;
    while (!(bytes[0] & (0x80 >> (length - 1)))) ++length;
    uint64_t value = keep ? bytes[0] : bytes[0] & (0xff >> length);
    bool ones = (bytes[0] | (0xff << (8 - length) & 0xff)) == 0xff;
    for (size_t i = 1; i < length; ++i) {
        value = value << 8 | bytes[i];
        ones = ones && bytes[i] == 0xff;
    }
    unknown = ones;
    at += length;
    return value;
}

// The header and the segment, which holds everything. Live recordings leave the segment's size open.
Result<void> check_segment(const MediaSource& source) {
    constexpr uint64_t kSegment = 0x18538067;
    uint64_t at = 0;
    for (int element = 0; element < 2; ++element) {
        bool unknown = false;
        const auto id = ebml_number(source, at, true, unknown);
        const auto size = ebml_number(source, at, false, unknown);
        if (!id || !size || (unknown && *id == kSegment)) return {};
        if (*size > source.size() - at) return cut(source, at + *size);
        if (*id == kSegment) return {};
        at += *size;
    }
    return {};
}

Result<void> check_riff(const MediaSource& source) {
    std::array<uint8_t, 8> head = {};
    if (source.read_at(0, head) < 8) return {};
    const uint64_t claimed = uint64_t{little_endian_32(head.data() + 4)} + 8;
    return claimed > source.size() ? Result<void>(cut(source, claimed)) : Result<void>();
}

}  // namespace

Result<void> check_whole(const MediaSource& source) {
    constexpr size_t kHead = 1024;
    LAP_ASSIGN(const auto head, source.head(kHead));
    const std::string_view type = detect_media_type(head);
    if (type == "MPEG-4 video" || type == "MPEG-4 audio" || type == "QuickTime video") return check_boxes(source);
    if (type == "Matroska or WebM video") return check_segment(source);
    if (type == "AVI video") return check_riff(source);
    return {};
}

}  // namespace lapidary::model
