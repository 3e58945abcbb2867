// WAV, FLAC and Ogg by libsndfile, from memory; see sound_reader.h.
#include <sndfile.h>

#include <string>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/media_bytes.h"
#include "model/media/sound_reader.h"

namespace lapidary::model {

namespace {

MemoryFile& memory(void* user) { return *static_cast<MemoryFile*>(user); }

sf_count_t on_size(void* user) { return memory(user).size(); }
sf_count_t on_tell(void* user) { return memory(user).position; }
sf_count_t on_seek(sf_count_t offset, int whence, void* user) { return memory(user).seek(offset, whence); }
sf_count_t on_read(void* target, sf_count_t count, void* user) { return memory(user).read(target, count); }
sf_count_t on_write(const void*, sf_count_t, void*) { return 0; }

struct CloseSound {
    void operator()(SNDFILE* file) const { sf_close(file); }
};

class SndfileReader final : public SoundReader {
  public:
    SndfileReader(std::span<const uint8_t> bytes, std::string_view name) : source_{bytes, 0}, name_(name) {}

    Result<void> open() {
        SF_VIRTUAL_IO io{on_size, on_seek, on_read, on_write, on_tell};
        SF_INFO info{};
        file_.reset(sf_open_virtual(&io, SFM_READ, &info, &source_));
        if (!file_) {
            const auto type = detect_media_type(source_.bytes);
            return media_error(name_, concat("damaged ", type, ": its header cannot be read"),
                               "copy or export the recording again");
        }
        format_.channels = static_cast<uint32_t>(std::max(info.channels, 0));
        format_.sample_rate = static_cast<uint32_t>(std::max(info.samplerate, 0));
        const bool known = info.frames > 0 && info.frames < SF_COUNT_MAX;
        format_.frames = known ? static_cast<uint64_t>(info.frames) : 0;
        return {};
    }

    Result<size_t> read(std::span<float> interleaved) override {
        const auto wanted = static_cast<sf_count_t>(interleaved.size() / format_.channels);
        const sf_count_t got = std::max<sf_count_t>(sf_readf_float(file_.get(), interleaved.data(), wanted), 0);
        frames_read_ += static_cast<uint64_t>(got);
        // Behind the last frame that was promised may stand anything.
        if (format_.frames > 0 && frames_read_ >= format_.frames) return static_cast<size_t>(got);
        const bool cut = got == 0 && format_.frames > 0, failed = sf_error(file_.get()) != SF_ERR_NO_ERROR;
        if (!failed && !cut) return static_cast<size_t>(got);
        const std::string promised = format_.frames > 0 ? concat(" of ", format_.frames) : "";
        return media_error(name_,
                           concat("damaged recording: ", frames_read_, promised, " frames can be read, then ",
                                  failed ? "comes what cannot be decoded" : "it ends"),
                           "copy or export the recording again");
    }

  private:
    MemoryFile source_;  // outlives file_, which reads it
    std::string name_;
    std::unique_ptr<SNDFILE, CloseSound> file_;
    uint64_t frames_read_ = 0;
};

}  // namespace

Result<std::unique_ptr<SoundReader>> open_sndfile(std::span<const uint8_t> bytes, std::string_view name) {
    auto reader = std::make_unique<SndfileReader>(bytes, name);
    LAP_TRY(reader->open());
    return std::unique_ptr<SoundReader>(std::move(reader));
}

}  // namespace lapidary::model
