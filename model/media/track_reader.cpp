// The sound track of whatever container, through the FFmpeg module; see sound_reader.h.
#include <string>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/ffmpeg_module.h"
#include "model/media/sound_reader.h"
#include "model/media/video_container.h"

namespace lapidary::model {

namespace {

class TrackReader final : public SoundReader {
  public:
    explicit TrackReader(MediaSource source) : name_(source.name()), bytes_(std::move(source)), source_(module_source(bytes_)) {}

    Result<void> open() {
        LAP_TRY(check_whole(bytes_));
        LAP_ASSIGN(module_, ffmpeg_module(concat(name_, ": this kind of sound")));
        LapidarySoundInfo info = {};
        LapidaryText why = {};
        stream_ = StreamPtr(module_->open_sound(&source_, &info, &why), {module_});
        if (!stream_) return module_error(name_, "its sound cannot be read", why);
        format_.channels = static_cast<uint32_t>(std::max(info.channels, 0));
        format_.sample_rate = static_cast<uint32_t>(std::max(info.sample_rate, 0));
        return {};
    }

    Result<size_t> read(std::span<float> interleaved) override {
        LapidaryText why = {};
        const auto wanted = static_cast<int64_t>(interleaved.size() / format_.channels);
        const int64_t got = module_->read_sound(stream_.get(), interleaved.data(), wanted, &why);
        if (got < 0) return module_error(name_, concat("damaged sound: ", frames_read_, " frames can be read, then"), why);
        frames_read_ += static_cast<uint64_t>(got);
        return static_cast<size_t>(got);
    }

  private:
    std::string name_;
    MediaSource bytes_;
    LapidarySource source_;  // reads bytes_
    const LapidaryFfmpeg* module_ = nullptr;
    StreamPtr stream_;
    uint64_t frames_read_ = 0;
};

}  // namespace

Result<std::unique_ptr<SoundReader>> open_track(MediaSource source) {
    auto reader = std::make_unique<TrackReader>(std::move(source));
    LAP_TRY(reader->open());
    return std::unique_ptr<SoundReader>(std::move(reader));
}

}  // namespace lapidary::model
