// MP3 by libmpg123, from memory. It says nothing on stderr when it is told to be quiet, and drops the silence that
// encoders put around the sound where their header (Xing, Info, LAME) says how much that is; see sound_reader.h.
#include <mpg123.h>

#include <string>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/media_bytes.h"
#include "model/media/sound_container.h"
#include "model/media/sound_reader.h"

namespace lapidary::model {

namespace {

ssize_t on_read(void* user, void* target, size_t count) {
    return static_cast<ssize_t>(static_cast<MemoryFile*>(user)->read(target, static_cast<int64_t>(count)));
}

off_t on_seek(void* user, off_t offset, int whence) {
    return static_cast<off_t>(static_cast<MemoryFile*>(user)->seek(offset, whence));
}

struct CloseDecoder {
    void operator()(mpg123_handle* handle) const { mpg123_delete(handle); }
};

// What the encoder wrote into the first frame, in place of sound: the bytes of the whole stream from that frame on, or
// 0. It stands behind the frame's header and side information.
uint64_t claimed_bytes(std::span<const uint8_t> bytes) {
    constexpr size_t kHeaderBytes = 4;
    constexpr uint32_t kHasFrames = 1, kHasBytes = 2;
    if (bytes.size() < kHeaderBytes) return 0;
    const bool version_1 = (bytes[1] >> 3 & 3) == 3, mono = bytes[3] >> 6 == 3;
    const size_t side = version_1 ? (mono ? 17 : 32) : (mono ? 9 : 17);
    const size_t checksum = (bytes[1] & 1) ? 0 : 2;
    for (const size_t at : {kHeaderBytes + side, kHeaderBytes + side + checksum}) {
        if (bytes.size() < at + 16) return 0;
        const std::string_view name(reinterpret_cast<const char*>(bytes.data()) + at, 4);
        if (name != "Xing" && name != "Info") continue;
        const uint32_t flags = big_endian_32(bytes.data() + at + 4);
        if (!(flags & kHasBytes)) return 0;
        return big_endian_32(bytes.data() + at + 8 + ((flags & kHasFrames) ? 4 : 0));
    }
    return 0;
}

class Mp3Reader final : public SoundReader {
  public:
    Mp3Reader(std::span<const uint8_t> bytes, std::string_view name) : source_{bytes, 0}, name_(name) {}

    Result<void> open() {
        int code = MPG123_OK;
        handle_.reset(mpg123_new(nullptr, &code));
        if (!handle_)
            return Error{Errc::out_of_memory, concat(name_, ": MP3 decoder: ", mpg123_plain_strerror(code)),
                         "close other programs"};
        const uint64_t claimed = claimed_bytes(source_.bytes);
        if (claimed > source_.bytes.size())
            return media_error(
                name_, concat("truncated MP3: its header claims ", claimed, " bytes, ", source_.bytes.size(), " are there"),
                "copy or export the recording again");
        mpg123_handle* h = handle_.get();
        mpg123_param(h, MPG123_ADD_FLAGS, MPG123_QUIET | MPG123_GAPLESS | MPG123_SKIP_ID3V2 | MPG123_NO_FRANKENSTEIN, 0);
        mpg123_format_none(h);
        const long* rates = nullptr;
        size_t count = 0;
        mpg123_rates(&rates, &count);
        for (size_t i = 0; i < count; ++i) mpg123_format(h, rates[i], MPG123_MONO | MPG123_STEREO, MPG123_ENC_FLOAT_32);
        long rate = 0;
        int channels = 0, encoding = 0;
        const bool opened = mpg123_replace_reader_handle(h, on_read, on_seek, nullptr) == MPG123_OK &&
                            mpg123_open_handle(h, &source_) == MPG123_OK &&
                            mpg123_getformat(h, &rate, &channels, &encoding) == MPG123_OK;
        if (!opened) return damaged();
        format_.channels = static_cast<uint32_t>(std::max(channels, 0));
        format_.sample_rate = static_cast<uint32_t>(std::max(rate, 0L));
        // Without the encoder's header the length is a guess from the first frame's bit rate.
        const off_t length = claimed > 0 ? mpg123_length(h) : 0;
        format_.frames = length > 0 ? static_cast<uint64_t>(length) : 0;
        return {};
    }

    Result<size_t> read(std::span<float> interleaved) override {
        const size_t frame_bytes = format_.channels * sizeof(float);
        const size_t wanted = interleaved.size_bytes() / frame_bytes * frame_bytes;
        size_t got = 0;
        const int code = mpg123_read(handle_.get(), reinterpret_cast<unsigned char*>(interleaved.data()), wanted, &got);
        const auto frames = got / frame_bytes;
        frames_read_ += frames;
        if (code == MPG123_OK || (code == MPG123_DONE && (frames_read_ > 0 || frames > 0))) return frames;
        return damaged();
    }

  private:
    Error damaged() const {
        return media_error(
            name_, concat("damaged MP3: ", frames_read_, " frames can be read (", mpg123_strerror(handle_.get()), ")"),
            "copy or export the recording again");
    }

    MemoryFile source_;  // outlives handle_, which reads it
    std::string name_;
    std::unique_ptr<mpg123_handle, CloseDecoder> handle_;
    uint64_t frames_read_ = 0;
};

}  // namespace

Result<std::unique_ptr<SoundReader>> open_mp3(std::span<const uint8_t> bytes, std::string_view name) {
    auto reader = std::make_unique<Mp3Reader>(without_trailing_tags(bytes), name);
    LAP_TRY(reader->open());
    return std::unique_ptr<SoundReader>(std::move(reader));
}

}  // namespace lapidary::model
