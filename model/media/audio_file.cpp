// Decodes with libsndfile from memory, in blocks, and hands them to the resampler.
#include "model/media/audio_file.h"

#include <sndfile.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "base/try.h"
#include "model/media/media_bytes.h"
#include "model/media/resample.h"

namespace lapidary::model {

namespace {

constexpr size_t kBlockFrames = 16384;

// The file as libsndfile's virtual input. Positions are clamped, so no offset can leave the bytes.
struct MemoryFile {
    std::span<const uint8_t> bytes;
    sf_count_t position = 0;

    sf_count_t size() const { return static_cast<sf_count_t>(bytes.size()); }
};

MemoryFile& memory(void* user) { return *static_cast<MemoryFile*>(user); }

sf_count_t on_size(void* user) { return memory(user).size(); }

sf_count_t on_tell(void* user) { return memory(user).position; }

sf_count_t on_seek(sf_count_t offset, int whence, void* user) {
    MemoryFile& file = memory(user);
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file.position : file.size();
    // base is at most 1 GiB; clamping the offset first keeps the sum from overflowing.
    const sf_count_t step = std::clamp<sf_count_t>(offset, -file.size(), file.size());
    file.position = std::clamp<sf_count_t>(base + step, 0, file.size());
    return file.position;
}

sf_count_t on_read(void* target, sf_count_t count, void* user) {
    MemoryFile& file = memory(user);
    const sf_count_t available = std::clamp<sf_count_t>(count, 0, file.size() - file.position);
    std::memcpy(target, file.bytes.data() + file.position, static_cast<size_t>(available));
    file.position += available;
    return available;
}

sf_count_t on_write(const void*, sf_count_t, void*) { return 0; }

struct CloseSound {
    void operator()(SNDFILE* file) const { sf_close(file); }
};

uint32_t little_endian_32(const uint8_t* bytes) {
    return bytes[0] | uint32_t{bytes[1]} << 8 | uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24;
}

// libmpg123 must not see a byte (audio_file.h says why), so a format chunk that announces MPEG layer III, tag
// 0x0055, is looked for anywhere: libsndfile may find chunks where a plain walk does not.
bool holds_mpeg(std::span<const uint8_t> bytes) {
    constexpr std::string_view kChunk = "fmt ";
    constexpr size_t kTagAt = 8;
    for (auto at = bytes.begin();; ++at) {
        at = std::search(at, bytes.end(), kChunk.begin(), kChunk.end());
        if (bytes.end() - at < static_cast<std::ptrdiff_t>(kTagAt + 2)) return false;
        if (at[kTagAt] == 0x55 && at[kTagAt + 1] == 0) return true;
    }
}

// libsndfile quietly shortens a WAV whose data chunk claims more than the file holds; we call it truncated.
// Programs that write to a pipe cannot know the length and leave 0x7fffffff or above: those are read to
// the end.
Result<void> check_wav(std::span<const uint8_t> bytes, std::string_view name) {
    constexpr size_t kHeaderBytes = 8;
    constexpr uint32_t kUnknownLength = 0x7fffffff - 0x1000;
    if (std::memcmp(bytes.data(), "RIFF", 4) != 0) {
        return media_error(name, "is a WAV that does not begin with RIFF (RF64 and RIFX are not read)",
                           "convert the recording to ordinary WAV or FLAC");
    }
    if (holds_mpeg(bytes)) {
        return media_error(name, "is WAV with MP3 inside, which is not read",
                           "convert the recording to PCM WAV or FLAC");
    }
    size_t position = 12;
    while (bytes.size() - position >= kHeaderBytes) {
        const uint32_t claimed = little_endian_32(bytes.data() + position + 4);
        const bool is_data = std::memcmp(bytes.data() + position, "data", 4) == 0;
        position += kHeaderBytes;
        const size_t there = bytes.size() - position;
        if (is_data && claimed > there && claimed < kUnknownLength) {
            return media_error(name,
                               "truncated WAV: its data chunk claims " + std::to_string(claimed) +
                                   " bytes, " + std::to_string(there) + " are there",
                               "copy or export the recording again");
        }
        if (is_data || claimed >= there) return {};
        position += std::min<size_t>(claimed + size_t{claimed & 1}, there);
    }
    return {};
}

// CRC of an Ogg page (RFC 3533: polynomial 0x04c11db7, not reflected), its own field at 22 to 25 counted as
// zero.
uint32_t ogg_page_crc(std::span<const uint8_t> page) {
    uint32_t crc = 0;
    for (size_t i = 0; i < page.size(); ++i) {
        crc ^= uint32_t{i >= 22 && i < 26 ? uint8_t{0} : page[i]} << 24;
        for (int bit = 0; bit < 8; ++bit) crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
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

// libsndfile reads a cut Ogg file as if it were whole, and leaks memory over damaged ones; the pages' own
// checksums and the end-of-stream flag of the last one tell both before it is asked.
Result<void> check_ogg(std::span<const uint8_t> bytes, std::string_view name) {
    bool ended = false;
    for (size_t position = 0; position < bytes.size();) {
        const size_t page_bytes = ogg_page_bytes(bytes.subspan(position));
        if (page_bytes == 0) {
            return media_error(name,
                               "damaged or truncated Ogg: the page at byte " + std::to_string(position) +
                                   " of " + std::to_string(bytes.size()) + " is not whole",
                               "copy or export the recording again");
        }
        ended = (bytes[position + 5] & 4) != 0;
        position += page_bytes;
    }
    if (ended) return {};
    return media_error(name, "truncated Ogg: no page ends the stream", "copy or export the recording again");
}

// What libsndfile may be asked to open.
Result<void> check_container(std::span<const uint8_t> bytes, std::string_view name) {
    if (bytes.empty()) return media_error(name, "is empty (0 bytes)", "check how the file was written");
    const std::string type(detect_media_type(bytes));
    if (type == "WAV") return check_wav(bytes, name);
    if (type == "Ogg") return check_ogg(bytes, name);
    if (type == "FLAC") return {};
    return media_error(name, "is " + type + ", not WAV, FLAC or Ogg", "convert the recording to WAV or FLAC");
}

Result<std::vector<float>> read_blocks(SNDFILE* file, const SF_INFO& info, std::string_view name) {
    LAP_ASSIGN(Resampler resampler,
               Resampler::create(static_cast<uint32_t>(std::max(info.channels, 0)),
                                 static_cast<uint32_t>(std::max(info.samplerate, 0)), name));
    const auto channels = static_cast<size_t>(info.channels);
    std::vector<float> block(kBlockFrames * channels);
    sf_count_t frames_read = 0;
    while (const sf_count_t got = sf_readf_float(file, block.data(), kBlockFrames)) {
        if (got < 0) break;
        frames_read += got;
        LAP_TRY(resampler.push(std::span(block).first(static_cast<size_t>(got) * channels)));
    }
    const bool length_known = info.frames > 0 && info.frames < SF_COUNT_MAX;
    if (sf_error(file) != SF_ERR_NO_ERROR || (length_known && frames_read < info.frames)) {
        return media_error(name,
                           "damaged recording: " + std::to_string(frames_read) + " of " +
                               std::to_string(info.frames) + " frames can be read (" + sf_strerror(file) +
                               ")",
                           "copy or export the recording again");
    }
    return resampler.finish();
}

Error out_of_memory(std::string_view name) {
    return {Errc::out_of_memory, std::string(name) + ": no memory for its samples",
            "close other programs or use a shorter recording"};
}

}  // namespace

Result<std::vector<float>> decode_audio(std::span<const uint8_t> bytes, std::string_view name) {
    LAP_TRY(check_container(bytes, name));
    SF_VIRTUAL_IO io{on_size, on_seek, on_read, on_write, on_tell};
    MemoryFile source{bytes, 0};
    SF_INFO info{};
    const std::unique_ptr<SNDFILE, CloseSound> file(sf_open_virtual(&io, SFM_READ, &info, &source));
    if (!file) {
        return media_error(name,
                           "damaged " + std::string(detect_media_type(bytes)) + ": " + sf_strerror(nullptr),
                           "copy or export the recording again");
    }
    try {
        return read_blocks(file.get(), info, name);
    } catch (const std::bad_alloc&) {
        return out_of_memory(name);
    }
}

Result<std::vector<float>> read_audio(const std::filesystem::path& path) {
    LAP_ASSIGN(const std::vector<uint8_t> bytes, read_media_file(path));
    return decode_audio(bytes, path.string());
}

Result<std::vector<float>> prepare_samples(std::span<const float> interleaved, uint32_t channels,
                                           uint32_t sample_rate, std::string_view name) {
    LAP_ASSIGN(Resampler resampler, Resampler::create(channels, sample_rate, name));
    if (interleaved.size() % channels != 0) {
        return Error{Errc::invalid_argument,
                     std::string(name) + ": " + std::to_string(interleaved.size()) +
                         " values are no whole frames of " + std::to_string(channels) + " channels",
                     "pass channels * frames values"};
    }
    try {
        for (size_t at = 0; at < interleaved.size();) {
            const size_t count = std::min(kBlockFrames * channels, interleaved.size() - at);
            LAP_TRY(resampler.push(interleaved.subspan(at, count)));
            at += count;
        }
        return resampler.finish();
    } catch (const std::bad_alloc&) {
        return out_of_memory(name);
    }
}

}  // namespace lapidary::model
