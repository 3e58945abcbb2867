// A recording: decoded, mixed and resampled to 16 kHz, cut into frames.
#include <cmath>

#include "model/media/audio_file.h"
#include "model/media/frames.h"
#include "model/media/placeholders.h"
#include "tests/fuzz/media_seeds.h"
#include "tests/fuzz/model_check.h"

namespace lapidary::fuzz {
namespace {

void one(Bytes bytes) {
    const auto samples = model::decode_audio(bytes, "recording");
    if (!samples) return check_error(samples.error());
    for (const float sample : *samples) promise(std::isfinite(sample), "a sample is not finite");
    const uint32_t per_token = 1 + hash_of(bytes) % 1000;
    const auto frames = model::samples_to_frames(*samples, per_token);
    const auto expected = model::audio_soft_tokens(samples->size(), per_token);
    promise(frames.has_value() == expected.has_value(), "rows without a number of rows, or the reverse");
    if (!frames) return check_error(frames.error());
    promise(frames->count == *expected, "not as many rows as announced");
    promise(frames->values.size() == frames->count * frames->values_per_row, "rows of wrong size");
}

// CRC of an Ogg page (RFC 3533: polynomial 0x04c11db7, not reflected) whose own field is zero.
uint32_t ogg_crc(std::string_view page) {
    uint32_t crc = 0;
    for (const char byte : page) {
        crc ^= uint32_t{static_cast<unsigned char>(byte)} << 24;
        for (int bit = 0; bit < 8; bit++) crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
    }
    return crc;
}

// The pages of an Ogg file with right checksums; other files stay as they are.
std::string mend(std::string file) {
    constexpr size_t kHeader = 27, kCrc = 22;
    for (size_t at = 0; file.size() >= kHeader && at <= file.size() - kHeader;) {
        if (file.compare(at, 4, "OggS") != 0) return file;
        const size_t segments = static_cast<unsigned char>(file[at + 26]);
        size_t size = kHeader + segments;
        for (size_t i = 0; i < segments && at + kHeader + i < file.size(); i++)
            size += static_cast<unsigned char>(file[at + kHeader + i]);
        if (size > file.size() - at) return file;
        file.replace(at + kCrc, 4, std::string(4, '\0'));
        const uint32_t crc = ogg_crc(std::string_view(file).substr(at, size));
        for (size_t i = 0; i < 4; i++) file[at + kCrc + i] = static_cast<char>(crc >> 8 * i);
        at += size;
    }
    return file;
}

// Files, and files with a tag behind them.
std::vector<std::string> seeds() {
    auto out = media_files({".wav", ".flac", ".ogg", ".mp3"});
    for (size_t i = 0, whole = out.size(); i < whole; i += 2) out.push_back(out[i] + "TAG" + std::string(125, ' '));
    return out;
}

std::vector<std::string> words() {
    using namespace std::string_literals;
    return {"RIFF",     "WAVE",     "fmt ",       "data",          "fact",          "LIST",
            "bext",     "cue ",     "smpl",       "PEAK",          "RF64",          "ds64",
            "fLaC",     "OggS",     "\x01vorbis", "\x03vorbis",    "\x05vorbis",    "OpusHead",
            "OpusTags", "ID3\x03"s, "ID3\x04"s,   "\xff\xfb"s,     "\xff\xf3"s,     "Xing",
            "Info",     "TAG",      "\xff\xf8"s,  "\x01\0\x01\0"s, "\x03\0\x01\0"s, "\xfe\xff"s,
            "\x55\0"s,  "\x11\0"s,  "\x02\0"s,    "\xe8\x03\0\0"s, "\x80\x3e\0\0"s, "\xff\xff\xff\x7f"s};
}

}  // namespace

const Target kSound = {
    .name = "sound", .max_bytes = 16 << 10, .one = one, .seeds = seeds, .words = words, .mend = mend};

}  // namespace lapidary::fuzz
