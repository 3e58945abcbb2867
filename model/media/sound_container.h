// What stands around the samples of a recording: tags in front and behind, and the headers of WAV, FLAC and Ogg, read
// before a decoder sees a byte. The decoders below us shorten cut files in silence, and leak memory over some.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lapidary/result.h"
#include "model/media/sound_reader.h"

namespace lapidary::model {

// The recording without ID3v2 tags in front of it, which taggers put before anything, and the zeros they leave behind.
std::span<const uint8_t> without_leading_tags(std::span<const uint8_t> bytes);
// An MP3 without the ID3v1 and APE tags at its end.
std::span<const uint8_t> without_trailing_tags(std::span<const uint8_t> bytes);

// Format and length by the header alone, of WAV and FLAC; nothing when `head` does not reach that far. `file_bytes` is
// the size of the file that `head` begins.
std::optional<SoundFormat> claimed_format(std::span<const uint8_t> head, uint64_t file_bytes);

// Whether a decoder may be asked to open it. Of a WAV the begin is enough, as far as its data; what is behind it is then
// taken at its word.
Result<void> check_wav(std::span<const uint8_t> bytes, uint64_t file_bytes, std::string_view name);
// The bytes as far as the stream goes; whatever stands behind its end is left out.
Result<std::span<const uint8_t>> check_ogg(std::span<const uint8_t> bytes, std::string_view name);

uint32_t little_endian_32(const uint8_t* bytes);
uint32_t big_endian_32(const uint8_t* bytes);

}  // namespace lapidary::model
