// WAV, FLAC, Ogg (Vorbis, Opus) and MP3 recordings to mono float at 16 kHz: channels averaged, resampled by
// libsamplerate with its best sinc filter. No scaling, clipping or splitting: 16-bit full scale is [-1, 1), float files
// pass as they are. M4A and other containers, videos too, go through the FFmpeg module (ffmpeg_module.h); other formats are
// refused by name. ID3 tags in front of any of these are skipped.
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

// All of these refuse more than `max_samples` with context_full, by what the header says where it says it, else as soon
// as so many have come: no more is ever resampled or kept. A cut WAV, FLAC or Ogg file is an error; a cut MP3 too, when
// its encoder wrote the length into it.

// Mono samples at kAudioSampleRate, exactly ceil(frames * 16000 / rate) of them.
Result<std::vector<float>> read_audio(const std::filesystem::path& path, uint64_t max_samples = kMaxAudioSamples);

// `name` stands in error messages for the file.
Result<std::vector<float>> decode_audio(std::span<const uint8_t> bytes, std::string_view name,
                                        uint64_t max_samples = kMaxAudioSamples);

// Opens it, without decoding: an error if read_audio would fail over its kind, its header or its length. Of a long WAV or
// FLAC only the header is read.
Result<void> check_audio(const std::filesystem::path& path);
Result<void> check_audio(std::span<const uint8_t> bytes, std::string_view name);

// Samples that are already decoded, [frames][channels] interleaved, at any rate from 1 to 768 kHz.
Result<std::vector<float>> prepare_samples(std::span<const float> interleaved, uint32_t channels,
                                           uint32_t sample_rate, std::string_view name,
                                           uint64_t max_samples = kMaxAudioSamples);

}  // namespace lapidary::model
