// Opens the reader that the bytes call for and hands its blocks to the resampler.
#include "model/media/audio_file.h"

#include <memory>
#include <new>
#include <optional>
#include <string>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/media_bytes.h"
#include "model/media/resample.h"
#include "model/media/sound_container.h"

namespace lapidary::model {

namespace {

constexpr size_t kBlockFrames = 16384;
constexpr size_t kHeadBytes = size_t{1} << 16;  // where headers stand

// Kinds that only the FFmpeg module reads. Of those a file stays where it is.
bool is_track(std::string_view type) { return has_tracks(type) && type != "Ogg"; }

Result<std::unique_ptr<SoundReader>> open_reader(std::span<const uint8_t> file, std::string_view name) {
    if (file.empty()) return media_error(name, "is empty (0 bytes)", "check how the file was written");
    std::span<const uint8_t> bytes = without_leading_tags(file);
    const std::string type(detect_media_type(bytes));
    if (is_track(type)) return open_track(MediaSource::memory(bytes, name));
    if (type == "MP3") return open_mp3(bytes, name);
    if (type == "WAV") {
        LAP_TRY(check_wav(bytes, bytes.size(), name));
    } else if (type == "Ogg") {
        LAP_ASSIGN(bytes, check_ogg(bytes, name));
    } else if (type == "FLAC") {
        bytes = without_trailing_tags(bytes);
    } else {
        const std::string tag = bytes.size() < file.size() ? "an ID3 tag before " : "";
        return media_error(name, "is " + tag + type + ", not a recording", "give WAV, FLAC, Ogg, MP3, M4A or a video with sound");
    }
    return open_sndfile(bytes, name);
}

Result<std::vector<float>> read_all(SoundReader& reader, std::string_view name, uint64_t max_samples) {
    const SoundFormat& format = reader.format();
    LAP_ASSIGN(Resampler resampler, Resampler::create(format.channels, format.sample_rate, name, max_samples));
    LAP_TRY(resampler.expect(format.frames));
    std::vector<float> block(kBlockFrames * format.channels);
    for (;;) {
        LAP_ASSIGN(const size_t frames, reader.read(block));
        if (frames == 0) return resampler.finish();
        LAP_TRY(resampler.push(std::span(block).first(frames * format.channels)));
    }
}

// The begin of a file, and what it says of the whole, for as long as that is enough to refuse.
struct Head {
    std::vector<uint8_t> bytes;
    std::span<const uint8_t> untagged;  // in `bytes`
    uint64_t file_bytes = 0;            // from there on
    std::optional<SoundFormat> claimed;

    bool whole() const { return untagged.size() == file_bytes; }
};

Result<Head> read_head(const std::filesystem::path& path) {
    Head head;
    LAP_ASSIGN(head.bytes, read_media_head(path, kHeadBytes, &head.file_bytes));
    head.untagged = without_leading_tags(head.bytes);
    head.file_bytes -= head.bytes.size() - head.untagged.size();
    head.claimed = claimed_format(head.untagged, head.file_bytes);
    return head;
}

// Of a kind that stays where it is; null: of another kind.
Result<std::unique_ptr<SoundReader>> open_if_track(const std::filesystem::path& path) {
    LAP_ASSIGN(MediaSource source, MediaSource::file(path));
    LAP_ASSIGN(const std::vector<uint8_t> head, source.head(kHeadBytes));
    if (!is_track(detect_media_type(without_leading_tags(head)))) return std::unique_ptr<SoundReader>();
    return open_track(std::move(source));
}

Result<void> expect(const SoundFormat& format, std::string_view name, uint64_t max_samples) {
    LAP_ASSIGN(const Resampler probe, Resampler::create(format.channels, format.sample_rate, name, max_samples));
    return probe.expect(format.frames);
}

Error out_of_memory(std::string_view name) {
    return {Errc::out_of_memory, std::string(name) + ": no memory for its samples",
            "close other programs or use a shorter recording"};
}

}  // namespace

Result<std::vector<float>> decode_audio(std::span<const uint8_t> bytes, std::string_view name,
                                        uint64_t max_samples) try {
    LAP_ASSIGN(const auto reader, open_reader(bytes, name));
    return read_all(*reader, name, max_samples);
} catch (const std::bad_alloc&) {
    return out_of_memory(name);
}

Result<std::vector<float>> read_audio(const std::filesystem::path& path, uint64_t max_samples) try {
    const std::string name = path.string();
    LAP_ASSIGN(const auto track, open_if_track(path));
    if (track) return read_all(*track, name, max_samples);
    LAP_ASSIGN(const Head head, read_head(path));
    if (head.claimed) LAP_TRY(expect(*head.claimed, name, max_samples));
    LAP_ASSIGN(const std::vector<uint8_t> bytes, read_media_file(path));
    return decode_audio(bytes, name, max_samples);
} catch (const std::bad_alloc&) {
    return out_of_memory(path.string());
}

Result<void> check_audio(const std::filesystem::path& path) try {
    const std::string name = path.string();
    LAP_ASSIGN(const auto track, open_if_track(path));
    if (track) return expect(track->format(), name, kMaxAudioSamples);
    LAP_ASSIGN(const Head head, read_head(path));
    if (head.claimed && !head.whole()) {
        if (detect_media_type(head.untagged) == "WAV") LAP_TRY(check_wav(head.untagged, head.file_bytes, name));
        return expect(*head.claimed, name, kMaxAudioSamples);
    }
    LAP_ASSIGN(const std::vector<uint8_t> bytes, read_media_file(path));
    return check_audio(bytes, name);
} catch (const std::bad_alloc&) {
    return out_of_memory(path.string());
}

Result<void> check_audio(std::span<const uint8_t> bytes, std::string_view name) try {
    LAP_ASSIGN(const auto reader, open_reader(bytes, name));
    return expect(reader->format(), name, kMaxAudioSamples);
} catch (const std::bad_alloc&) {
    return out_of_memory(name);
}

Result<std::vector<float>> prepare_samples(std::span<const float> interleaved, uint32_t channels, uint32_t sample_rate,
                                           std::string_view name, uint64_t max_samples) {
    LAP_ASSIGN(Resampler resampler, Resampler::create(channels, sample_rate, name, max_samples));
    if (interleaved.size() % channels != 0)
        return Error{Errc::invalid_argument,
                     concat(name, ": ", interleaved.size(), " values are no whole frames of ", channels, " channels"),
                     "pass channels * frames values"};
    LAP_TRY(resampler.expect(interleaved.size() / channels));
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
