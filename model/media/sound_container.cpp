// Own readers of the few fields that matter; see sound_container.h.
#include "model/media/sound_container.h"

#include <vorbis/vorbisfile.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/media_bytes.h"

namespace lapidary::model {

uint32_t little_endian_32(const uint8_t* bytes) {
    return bytes[0] | uint32_t{bytes[1]} << 8 | uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24;
}

uint32_t big_endian_32(const uint8_t* bytes) {
    return bytes[3] | uint32_t{bytes[2]} << 8 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[0]} << 24;
}

namespace {

bool begins(std::span<const uint8_t> bytes, std::string_view with) {
    return bytes.size() >= with.size() && std::memcmp(bytes.data(), with.data(), with.size()) == 0;
}

// Bytes of the ID3v2 tag at the start, or 0. Its length is written in 7 bits a byte (ID3v2.4, 3.1).
size_t id3_bytes(std::span<const uint8_t> bytes) {
    constexpr size_t kHeaderBytes = 10;
    if (bytes.size() < kHeaderBytes || !begins(bytes, "ID3")) return 0;
    size_t size = 0;
    for (size_t i = 6; i < kHeaderBytes; ++i) {
        if (bytes[i] & 0x80) return 0;
        size = size << 7 | bytes[i];
    }
    const bool has_footer = bytes[3] == 4 && (bytes[5] & 0x10) != 0;
    size += kHeaderBytes * (has_footer ? 2 : 1);
    return std::min(size, bytes.size());
}

// libsndfile hands MP3 inside WAV to libmpg123, which complains about damage on stderr then. So a format chunk that
// announces MPEG layer III, tag 0x0055, is looked for anywhere: libsndfile may find chunks where a plain walk does not.
bool holds_mpeg(std::span<const uint8_t> bytes) {
    constexpr std::string_view kChunk = "fmt ";
    constexpr size_t kTagAt = 8;
    for (auto at = bytes.begin();; ++at) {
        at = std::search(at, bytes.end(), kChunk.begin(), kChunk.end());
        if (bytes.end() - at < static_cast<std::ptrdiff_t>(kTagAt + 2)) return false;
        if (at[kTagAt] == 0x55 && at[kTagAt + 1] == 0) return true;
    }
}

// What each value of the highest byte does to a CRC of the polynomial 0x04c11db7, not reflected.
constexpr std::array<uint32_t, 256> crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
        uint32_t crc = i << 24;
        for (int bit = 0; bit < 8; ++bit) crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
        table[i] = crc;
    }
    return table;
}

// CRC of an Ogg page (RFC 3533), its own field at 22 to 25 counted as zero.
uint32_t ogg_page_crc(std::span<const uint8_t> page) {
    static constexpr std::array<uint32_t, 256> kTable = crc_table();
    uint32_t crc = 0;
    for (size_t i = 0; i < page.size(); ++i) {
        const uint8_t byte = i >= 22 && i < 26 ? uint8_t{0} : page[i];
        crc = crc << 8 ^ kTable[crc >> 24 ^ byte];
    }
    return crc;
}

// Bytes of the sound Ogg page at the start of `bytes`, or 0.
size_t ogg_page_bytes(std::span<const uint8_t> bytes) {
    constexpr size_t kHeaderBytes = 27;
    if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data(), "OggS", 4) != 0) return 0;
    const size_t segments = bytes[26];
    if (bytes.size() < kHeaderBytes + segments) return 0;
    size_t size = kHeaderBytes + segments;
    for (size_t i = 0; i < segments; ++i) size += bytes[kHeaderBytes + i];
    if (size > bytes.size()) return 0;
    return ogg_page_crc(bytes.first(size)) == little_endian_32(bytes.data() + 22) ? size : 0;
}

int vorbis_seek(void* user, ogg_int64_t offset, int whence) {
    static_cast<MemoryFile*>(user)->seek(offset, whence);
    return 0;
}

size_t vorbis_read(void* target, size_t size, size_t count, void* user) {
    if (size == 0) return 0;
    return static_cast<size_t>(static_cast<MemoryFile*>(user)->read(target, static_cast<int64_t>(size * count))) / size;
}

long vorbis_tell(void* user) { return static_cast<long>(static_cast<MemoryFile*>(user)->position); }

// libsndfile leaks what libvorbis had set up when one of the three header packets is damaged; libvorbisfile, asked
// first, cleans up. Of the first page only its packet's name is looked at here.
Result<void> check_codec(std::span<const uint8_t> bytes, std::string_view name) {
    const size_t body = 27 + size_t{bytes[26]};
    const std::span<const uint8_t> packet = bytes.subspan(body);
    if (begins(packet, "OpusHead")) return {};
    if (!begins(packet, "\x01vorbis"))
        return media_error(name, "is Ogg, but neither Vorbis nor Opus", "convert the recording to WAV or FLAC");
    MemoryFile source{bytes, 0};
    OggVorbis_File file{};
    const int problem =
        ov_test_callbacks(&source, &file, nullptr, 0, {vorbis_read, vorbis_seek, nullptr, vorbis_tell});
    if (problem == 0) ov_clear(&file);
    if (problem == 0) return {};
    return media_error(name, "damaged Ogg: its Vorbis headers cannot be read", "copy or export the recording again");
}

std::optional<SoundFormat> claimed_by_flac(std::span<const uint8_t> head) {
    // "fLaC", 4 bytes of block header, then STREAMINFO: at byte 10 of it 20 bits of rate, 3 of channels - 1, 5 of
    // bits - 1, 36 of frames.
    constexpr size_t kStreamInfo = 8, kRateAt = kStreamInfo + 10;
    if (head.size() < kRateAt + 8 || (head[4] & 0x7f) != 0) return std::nullopt;
    const uint8_t* at = head.data() + kRateAt;
    const uint64_t packed = uint64_t{big_endian_32(at)} << 32 | big_endian_32(at + 4);
    return SoundFormat{static_cast<uint32_t>(packed >> 41 & 7) + 1, static_cast<uint32_t>(packed >> 44),
                       packed & ((uint64_t{1} << 36) - 1)};
}

std::optional<SoundFormat> claimed_by_wav(std::span<const uint8_t> head, uint64_t file_bytes) {
    constexpr size_t kHeaderBytes = 8;
    SoundFormat format;
    uint32_t frame_bytes = 0;
    for (size_t at = 12; at + kHeaderBytes <= head.size();) {
        const uint8_t* chunk = head.data() + at;
        const uint64_t claimed = little_endian_32(chunk + 4);
        at += kHeaderBytes;
        if (std::memcmp(chunk, "data", 4) == 0) {
            if (frame_bytes == 0 || file_bytes < at) return std::nullopt;
            format.frames = std::min<uint64_t>(claimed, file_bytes - at) / frame_bytes;
            return format;
        }
        if (std::memcmp(chunk, "fmt ", 4) == 0 && claimed >= 16 && at + 16 <= head.size()) {
            format.channels = little_endian_32(head.data() + at) >> 16;
            format.sample_rate = little_endian_32(head.data() + at + 4);
            // Compressed kinds have blocks of many frames; only what is one frame a block tells the length.
            const uint32_t kind = little_endian_32(head.data() + at) & 0xffff;
            const uint32_t block = little_endian_32(head.data() + at + 12);
            const bool plain = kind == 1 || kind == 3 || kind == 6 || kind == 7 || kind == 0xfffe;
            frame_bytes = plain ? block & 0xffff : 0;
        }
        at += claimed + (claimed & 1);
    }
    return std::nullopt;
}

}  // namespace

std::span<const uint8_t> without_leading_tags(std::span<const uint8_t> bytes) {
    bool tagged = false;
    while (const size_t size = id3_bytes(bytes)) {
        bytes = bytes.subspan(size);
        tagged = true;
    }
    while (tagged && !bytes.empty() && bytes[0] == 0) bytes = bytes.subspan(1);
    return bytes;
}

std::span<const uint8_t> without_trailing_tags(std::span<const uint8_t> bytes) {
    constexpr size_t kId3Bytes = 128, kApeBytes = 32;
    if (bytes.size() >= kId3Bytes && begins(bytes.last(kId3Bytes), "TAG")) bytes = bytes.first(bytes.size() - kId3Bytes);
    if (bytes.size() >= kApeBytes && begins(bytes.last(kApeBytes), "APETAGEX")) {
        const uint8_t* footer = bytes.data() + bytes.size() - kApeBytes;
        const bool has_header = (footer[23] & 0x80) != 0;  // of the flags' highest byte
        const uint64_t size = uint64_t{little_endian_32(footer + 12)} + (has_header ? kApeBytes : 0);
        if (size <= bytes.size()) bytes = bytes.first(bytes.size() - size);
    }
    return bytes;
}

std::optional<SoundFormat> claimed_format(std::span<const uint8_t> head, uint64_t file_bytes) {
    const std::string_view type = detect_media_type(head);
    if (type == "FLAC") return claimed_by_flac(head);
    if (type == "WAV") return claimed_by_wav(head, file_bytes);
    return std::nullopt;
}

// libsndfile quietly shortens a WAV whose data chunk claims more than the file holds; we call it truncated.
// Programs that write to a pipe cannot know the length and leave 0x7fffffff or above: those are read to
// the end.
Result<void> check_wav(std::span<const uint8_t> bytes, uint64_t file_bytes, std::string_view name) {
    constexpr size_t kHeaderBytes = 8;
    constexpr uint32_t kUnknownLength = 0x7fffffff - 0x1000;
    if (std::memcmp(bytes.data(), "RIFF", 4) != 0)
        return media_error(name, "is a WAV that does not begin with RIFF (RF64 and RIFX are not read)",
                           "convert the recording to ordinary WAV or FLAC");
    if (holds_mpeg(bytes))
        return media_error(name, "is WAV with MP3 inside, which is not read", "convert the recording to PCM WAV or FLAC");
    size_t position = 12;
    while (position <= bytes.size() && bytes.size() - position >= kHeaderBytes) {
        const uint32_t claimed = little_endian_32(bytes.data() + position + 4);
        const bool is_data = std::memcmp(bytes.data() + position, "data", 4) == 0;
        position += kHeaderBytes;
        const uint64_t there = file_bytes - position;
        if (is_data && claimed > there && claimed < kUnknownLength)
            return media_error(name, concat("truncated WAV: its data chunk claims ", claimed, " bytes, ", there, " are there"),
                               "copy or export the recording again");
        if (is_data || claimed >= there) return {};
        position += std::min<uint64_t>(claimed + uint64_t{claimed & 1}, there);
    }
    return {};
}

// libsndfile reads a cut Ogg file as if it were whole, and leaks memory over damaged ones; the pages' own
// checksums and the end-of-stream flag of the last one tell both before it is asked. What no page begins behind the end
// of a stream (tags, zeros) is none of the recording's.
Result<std::span<const uint8_t>> check_ogg(std::span<const uint8_t> bytes, std::string_view name) {
    bool ended = false;
    for (size_t position = 0; position < bytes.size();) {
        const auto rest = bytes.subspan(position);
        if (ended && !begins(rest, "OggS")) {
            bytes = bytes.first(position);
            break;
        }
        const size_t page_bytes = ogg_page_bytes(rest);
        if (page_bytes == 0)
            return media_error(
                name, concat("damaged or truncated Ogg: the page at byte ", position, " of ", bytes.size(), " is not whole"),
                "copy or export the recording again");
        ended = (bytes[position + 5] & 4) != 0;
        position += page_bytes;
    }
    if (!ended) return media_error(name, "truncated Ogg: no page ends the stream", "copy or export the recording again");
    LAP_TRY(check_codec(bytes, name));
    return bytes;
}

}  // namespace lapidary::model
