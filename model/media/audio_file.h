// WAV, FLAC and Ogg recordings to mono float at 16 kHz: channels averaged, resampled by libsamplerate with
// its best sinc filter. No scaling, clipping or splitting: 16-bit full scale is [-1, 1), float files pass as
// they are. Other formats are refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

inline constexpr uint32_t kAudioSampleRate = 16000;
// 262,144 tokens of 40 ms, the model's whole context (2.9 hours). The model itself is made for clips of 30 s.
inline constexpr uint64_t kMaxAudioSamples = uint64_t{262144} * 640;

// MP3 is refused, also inside WAV, although libsndfile could read it: libmpg123 below it complains about
// damage on stderr, which nothing silences, and a cut MP3 cannot be told from a whole one. A cut WAV, FLAC or
// Ogg file is an error.

// Mono samples at kAudioSampleRate, exactly ceil(frames * 16000 / rate) of them.
Result<std::vector<float>> read_audio(const std::filesystem::path& path);

// `name` stands in error messages for the file.
Result<std::vector<float>> decode_audio(std::span<const uint8_t> bytes, std::string_view name);

// Samples that are already decoded, [frames][channels] interleaved, at any rate from 1 to 768 kHz.
Result<std::vector<float>> prepare_samples(std::span<const float> interleaved, uint32_t channels,
                                           uint32_t sample_rate, std::string_view name);

}  // namespace lapidary::model
