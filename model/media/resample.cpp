// Averages channels and drives libsamplerate's streaming interface.
#include "model/media/resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/audio_file.h"
#include "model/media/media_bytes.h"

namespace lapidary::model {

namespace {

constexpr uint32_t kMaxChannels = 64;
constexpr uint32_t kMinSampleRate = 1000;
constexpr uint32_t kMaxSampleRate = 768000;
constexpr float kMaxSample = 2147483648.0f;

// ceil(frames * 16000 / rate); headers may claim any number of frames.
uint64_t resampled_length(uint64_t frames, uint32_t sample_rate) {
    if (frames > UINT64_MAX / kAudioSampleRate - kMaxSampleRate) return UINT64_MAX;
    return (frames * kAudioSampleRate + sample_rate - 1) / sample_rate;
}

std::string seconds(uint64_t samples) {
    return concat(samples / kAudioSampleRate, ".", samples % kAudioSampleRate * 10 / kAudioSampleRate);
}

}  // namespace

Result<Resampler> Resampler::create(uint32_t channels, uint32_t sample_rate, std::string_view name,
                                    uint64_t max_samples) {
    if (channels == 0 || channels > kMaxChannels)
        return media_error(name, concat("has ", channels, " channels; 1 to ", kMaxChannels, " are read"),
                           "mix it down to mono first");
    if (sample_rate < kMinSampleRate || sample_rate > kMaxSampleRate)
        return media_error(
            name, concat("has a sample rate of ", sample_rate, " Hz; ", kMinSampleRate, " to ", kMaxSampleRate, " are read"),
            "the file is damaged, or should be converted to 16000 Hz");
    Resampler resampler;
    resampler.name_ = name;
    resampler.channels_ = channels;
    resampler.sample_rate_ = sample_rate;
    resampler.max_samples_ = max_samples;
    if (sample_rate != kAudioSampleRate) {
        int code = 0;
        resampler.state_.reset(src_new(SRC_SINC_BEST_QUALITY, 1, &code));
        if (!resampler.state_)
            return Error{Errc::out_of_memory, concat(name, ": resampler: ", src_strerror(code)), "close other programs"};
    }
    return resampler;
}

Result<void> Resampler::expect(uint64_t frames) const {
    const uint64_t samples = resampled_length(frames, sample_rate_);
    if (samples <= max_samples_) return {};
    const bool any = max_samples_ == kMaxAudioSamples;  // no model was asked yet
    return Error{Errc::context_full,
                 name_ + ": lasts " + seconds(samples) + " s or more; " +
                     (any ? "no model's context holds more than " + seconds(max_samples_) + " s of sound"
                          : seconds(max_samples_) + " s of sound have room in the context"),
                 "split the recording into clips of at most 30 seconds"};
}

Result<void> Resampler::push(std::span<const float> interleaved) {
    LAP_TRY(mix(interleaved));
    if (state_) return convert(false);
    samples_.insert(samples_.end(), mono_.begin(), mono_.end());
    return {};
}

Result<void> Resampler::mix(std::span<const float> interleaved) {
    const size_t frames = interleaved.size() / channels_;
    LAP_TRY(expect(frames_ + frames));
    mono_.resize(frames);
    const float* in = interleaved.data();
    for (size_t i = 0; i < frames; ++i, in += channels_) {
        double sum = 0.0;
        for (uint32_t c = 0; c < channels_; ++c) sum += in[c];
        const auto average = static_cast<float>(sum / channels_);
        if (!(std::abs(average) <= kMaxSample))
            return media_error(name_, concat("sample ", frames_ + i, " is not a usable number (", average, ")"),
                               "the recording is damaged");
        mono_[i] = average;
    }
    frames_ += frames;
    return {};
}

Result<void> Resampler::convert(bool end_of_input) {
    std::array<float, 8192> block;
    SRC_DATA data{};
    data.src_ratio = static_cast<double>(kAudioSampleRate) / sample_rate_;
    data.data_in = mono_.data();
    data.input_frames = static_cast<long>(mono_.size());
    data.data_out = block.data();
    data.output_frames = static_cast<long>(block.size());
    data.end_of_input = end_of_input ? 1 : 0;
    do {
        if (const int code = src_process(state_.get(), &data); code != 0)
            return Error{Errc::internal, concat(name_, ": resampler: ", src_strerror(code)), "please report this recording"};
        samples_.insert(samples_.end(), block.begin(), block.begin() + data.output_frames_gen);
        data.data_in += data.input_frames_used;
        data.input_frames -= data.input_frames_used;
    } while (data.output_frames_gen > 0 || data.input_frames_used > 0);
    return {};
}

Result<std::vector<float>> Resampler::finish() {
    if (frames_ == 0) return media_error(name_, "holds no samples (0 frames)", "pass a recording that is not empty");
    if (state_) {
        mono_.clear();
        LAP_TRY(convert(true));
        samples_.resize(resampled_length(frames_, sample_rate_));
    }
    return std::move(samples_);
}

}  // namespace lapidary::model
