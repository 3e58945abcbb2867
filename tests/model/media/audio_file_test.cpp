// Decoding, mixing and resampling of recordings, with derived error bounds, and every way a file can be
// wrong.
#include "model/media/audio_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

#include "model/media/placeholders.h"
#include "tests/model/media/support.h"
#include "tests/support/goldens.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

namespace fs = std::filesystem;

std::vector<float> sine(double frequency, uint32_t sample_rate, size_t frames, double amplitude) {
    std::vector<float> wave(frames);
    for (size_t i = 0; i < frames; ++i) {
        const double turns = frequency * static_cast<double>(i) / sample_rate;
        wave[i] = static_cast<float>(amplitude * std::sin(2.0 * std::numbers::pi * turns));
    }
    return wave;
}

void put(std::vector<uint8_t>& bytes, uint32_t value, size_t count) {
    for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
}

void put(std::vector<uint8_t>& bytes, std::string_view text) {
    for (const char letter : text) bytes.push_back(static_cast<uint8_t>(letter));
}

// A WAV file; format 1 is PCM, 3 is float.
std::vector<uint8_t> wav(uint32_t format, uint32_t channels, uint32_t rate, uint32_t bits,
                         uint32_t claimed_bytes, const std::vector<uint8_t>& data) {
    std::vector<uint8_t> bytes;
    put(bytes, "RIFF");
    put(bytes, 36 + claimed_bytes, 4);
    put(bytes, "WAVEfmt ");
    put(bytes, 16, 4);
    put(bytes, format, 2);
    put(bytes, channels, 2);
    put(bytes, rate, 4);
    put(bytes, rate * channels * bits / 8, 4);
    put(bytes, channels * bits / 8, 2);
    put(bytes, bits, 2);
    put(bytes, "data");
    put(bytes, claimed_bytes, 4);
    bytes.insert(bytes.end(), data.begin(), data.end());
    return bytes;
}

std::vector<uint8_t> float_wav(const std::vector<float>& samples) {
    std::vector<uint8_t> data(samples.size() * 4);
    std::memcpy(data.data(), samples.data(), data.size());
    return wav(3, 1, 16000, 32, static_cast<uint32_t>(data.size()), data);
}

Error decode_error(const std::vector<uint8_t>& bytes) {
    const auto samples = decode_audio(bytes, "the recording");
    REQUIRE_FALSE(samples.has_value());
    CHECK(samples.error().message.find("the recording") == 0);
    CHECK_FALSE(samples.error().hint.empty());
    return samples.error();
}

bool mentions(const Error& error, std::string_view text) {
    return error.message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("decode_audio: PCM of all widths is scaled by a power of two, exactly") {
    const auto pcm8 = decode_audio(wav(1, 1, 16000, 8, 3, {0, 128, 255}), "8 bit");
    CHECK(pcm8.has_value());
    CHECK(*pcm8 == std::vector<float>{-1.0f, 0.0f, 127.0f / 128.0f});
    const auto pcm16 = decode_audio(wav(1, 1, 16000, 16, 6, {0x00, 0x80, 0x01, 0x00, 0xff, 0x7f}), "16 bit");
    CHECK(*pcm16 == std::vector<float>{-1.0f, 1.0f / 32768.0f, 32767.0f / 32768.0f});
    const auto pcm24 = decode_audio(wav(1, 1, 16000, 24, 6, {0x00, 0x00, 0x80, 0xff, 0xff, 0x7f}), "24 bit");
    CHECK(*pcm24 == std::vector<float>{-1.0f, 8388607.0f / 8388608.0f});
    const std::vector<float> loud = {0.25f, -1.5f, 3.0f};
    CHECK(decode_audio(float_wav(loud), "float").value() == loud);
}

TEST_CASE("decode_audio: channels are averaged") {
    // (1/2 + 1/4) / 2 and (-1 + 1/2) / 2 as 16-bit samples.
    const auto samples =
        decode_audio(wav(1, 2, 16000, 16, 8, {0, 0x40, 0, 0x20, 0, 0x80, 0, 0x40}), "stereo");
    REQUIRE(samples.has_value());
    CHECK(*samples == std::vector<float>{0.375f, -0.25f});
}

TEST_CASE("read_audio: the bundled speech is what its bytes say, and as long") {
    for (int i = 1; i <= 6; ++i) {
        const fs::path path = samples_dir() / ("speech_" + std::to_string(i) + ".wav");
        const auto samples = read_audio(path);
        REQUIRE(samples.has_value());
        const std::vector<uint8_t> bytes = file_bytes(path);
        REQUIRE(bytes.size() == 44 + 2 * samples->size());
        size_t wrong = 0;
        for (size_t n = 0; n < samples->size(); ++n) {
            int16_t value;
            std::memcpy(&value, bytes.data() + 44 + 2 * n, 2);
            wrong += (*samples)[n] != static_cast<float>(value) / 32768.0f;
        }
        CHECK(wrong == 0);
    }
}

TEST_CASE("read_audio: token counts of the bundled speech as in samples.json") {
    const auto bytes = file_bytes(samples_dir() / "samples.json");
    const auto json = nlohmann::json::parse(bytes.begin(), bytes.end());
    int seen = 0;
    for (const auto& sample : json.at("samples")) {
        if (sample.at("type") != "audio") continue;
        const auto samples = read_audio(samples_dir() / sample.at("file").get<std::string>());
        REQUIRE(samples.has_value());
        CHECK(audio_soft_tokens(samples->size(), 640).value() == sample.at("soft_tokens").get<size_t>());
        ++seen;
    }
    CHECK(seen == 6);
}

TEST_CASE("prepare_samples: resampling keeps frequency, phase and amplitude") {
    // Away from both ends, where the filter sees the silence outside: the converter's images are 144 dB down
    // (0.5 * 10^-7.2 = 3.2e-8) and its ripple is of that size. Rounding the input, the filter table and the
    // output to float32 adds at most 0.5 * 2^-24 each, times the filter's absolute sum, below 4: 3.6e-7.
    // Together below 5e-7.
    constexpr double kFrequency = 1000.0;
    constexpr double kAmplitude = 0.5;
    for (const uint32_t rate : {8000u, 11025u, 22050u, 44100u, 48000u, 96000u}) {
        CAPTURE(rate);
        const auto samples = prepare_samples(sine(kFrequency, rate, rate, kAmplitude), 1, rate, "sine");
        REQUIRE(samples.has_value());
        REQUIRE(samples->size() == 16000);
        const std::vector<float> want = sine(kFrequency, 16000, 16000, kAmplitude);
        double worst = 0.0;
        for (size_t i = 1000; i < 15000; ++i)
            worst = std::max(worst, std::abs(double{(*samples)[i]} - want[i]));
        CHECK(worst < 5e-7);
    }
}

TEST_CASE("prepare_samples: what 16 kHz cannot hold is removed, not folded down") {
    const auto samples = prepare_samples(sine(15000.0, 48000, 48000, 1.0), 1, 48000, "sine").value();
    float worst = 0.0f;
    for (size_t i = 1000; i < 15000; ++i) worst = std::max(worst, std::abs(samples[i]));
    CHECK(
        worst <
        4e-7f);  // 144 dB down is 6.3e-8; rounding the input adds at most 2^-25 * 4 = 1.2e-7, the output less
}

TEST_CASE("prepare_samples: the length is ceil(frames * 16000 / rate), for every remainder") {
    for (const uint32_t rate : {8000u, 44100u, 47999u, 192000u}) {
        for (const size_t frames : {1u, 2u, 3u, 440u, 441u, 442u, 20001u}) {
            const auto samples = prepare_samples(std::vector<float>(frames, 0.5f), 1, rate, "constant");
            REQUIRE(samples.has_value());
            CHECK(samples->size() == (frames * 16000 + rate - 1) / rate);
        }
    }
}

TEST_CASE("prepare_samples: 16 kHz passes untouched, channels averaged") {
    const std::vector<float> stereo = {1.0f, 0.0f, -0.5f, -0.25f};
    CHECK(prepare_samples(stereo, 2, 16000, "stereo").value() == std::vector<float>{0.5f, -0.375f});
}

TEST_CASE("prepare_samples: nonsense is refused with the numbers") {
    const std::vector<float> three(3, 0.5f);
    CHECK(prepare_samples(three, 2, 16000, "x").error().code == Errc::invalid_argument);
    CHECK(mentions(prepare_samples(three, 0, 16000, "x").error(), "0 channels"));
    CHECK(mentions(prepare_samples(three, 65, 16000, "x").error(), "65 channels"));
    CHECK(mentions(prepare_samples(three, 1, 0, "x").error(), "0 Hz"));
    CHECK(mentions(prepare_samples(three, 1, 4000000000u, "x").error(), "4000000000 Hz"));
    CHECK(mentions(prepare_samples({}, 1, 16000, "x").error(), "no samples"));
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e30f}) {
        const std::vector<float> wave = {0.0f, bad};
        CHECK(mentions(prepare_samples(wave, 1, 44100, "x").error(), "sample 1 is not a usable number"));
    }
}

TEST_CASE("decode_audio: files that are no recordings") {
    CHECK(mentions(decode_error({}), "0 bytes"));
    CHECK(mentions(decode_error({'h', 'e', 'l', 'l', 'o', '\n'}), "is text"));
    CHECK(mentions(decode_error(file_bytes(fixture_dir() / "rgb.png")), "is PNG"));
    CHECK(decode_error(std::vector<uint8_t>(3000, 0)).code == Errc::media_unsupported);
    CHECK(read_audio(fixture_dir() / "absent.wav").error().code == Errc::not_found);
    CHECK(mentions(read_audio(fixture_dir()).error(), "directory"));
    CHECK(mentions(read_audio(samples_dir() / "samples.json").error(), "is text"));
}

TEST_CASE("decode_audio: wrong headers") {
    const std::vector<uint8_t> data(64, 7);
    CHECK(mentions(decode_error(wav(1, 1, 16000, 16, 0, {})), "0 frames"));
    CHECK(mentions(decode_error(wav(1, 1, 16000, 16, 1000000, data)), "claims 1000000 bytes, 64 are there"));
    CHECK(decode_error(wav(1, 1, 0, 16, 64, data)).code == Errc::media_unsupported);
    CHECK(decode_error(wav(1, 1, 2000000000u, 16, 64, data)).code == Errc::media_unsupported);
    CHECK(decode_error(wav(1, 0, 16000, 16, 64, data)).code == Errc::media_unsupported);
    CHECK(decode_error(wav(1, 1000, 16000, 16, 2000, std::vector<uint8_t>(2000))).code ==
          Errc::media_unsupported);
    CHECK(decode_error(wav(3, 1, 16000, 32, 4, {0, 0, 0xc0, 0x7f})).code == Errc::media_unsupported);  // NaN
}

TEST_CASE("decode_audio: a length left open by a pipe is read to the end") {
    const std::vector<uint8_t> data(640, 0);
    for (const uint32_t claimed : {0x7fffffffu, 0xffffffffu, 0xfffff000u}) {
        CAPTURE(claimed);
        CHECK(decode_audio(wav(1, 1, 16000, 16, claimed, data), "piped").value().size() == 320);
    }
}

TEST_CASE("decode_audio: every truncation of every fixture is an error") {
    for (const char* name : {"stereo_8k_16bit.wav", "mono_16k_8bit.wav", "mono_16k_24bit.wav"}) {
        CAPTURE(name);
        const std::vector<uint8_t> whole = file_bytes(fixture_dir() / name);
        REQUIRE(decode_audio(whole, name).has_value());
        size_t accepted = 0;
        for (size_t size = 0; size < whole.size(); ++size) {
            const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            const auto samples = decode_audio(cut, "cut");
            accepted += samples.has_value() || samples.error().code != Errc::media_unsupported;
        }
        CHECK(accepted == 0);
    }
}

TEST_CASE("decode_audio: FLAC is exact, and any cut of it is an error") {
    const std::vector<uint8_t> flac = file_bytes(fixture_dir() / "ramp.flac");
    const auto samples = decode_audio(flac, "ramp.flac");
    REQUIRE(samples.has_value());
    REQUIRE(samples->size() == 1000);
    size_t wrong = 0;
    for (size_t i = 0; i < 1000; ++i) {
        wrong += (*samples)[i] != (static_cast<float>(i * 37 % 2000) - 1000.0f) / 32768.0f;
    }
    CHECK(wrong == 0);
    size_t accepted = 0;
    for (size_t size = 0; size < flac.size(); ++size) {
        const std::vector<uint8_t> cut(flac.begin(), flac.begin() + static_cast<std::ptrdiff_t>(size));
        accepted += decode_audio(cut, "cut").has_value();
    }
    CHECK(accepted == 0);
}

TEST_CASE("decode_audio: Ogg Vorbis is read, any cut and any damage is an error") {
    const std::vector<uint8_t> whole = file_bytes(fixture_dir() / "tone.ogg");
    CHECK(decode_audio(whole, "tone.ogg").value().size() == 2903);  // ceil(4000 * 16000 / 22050)
    size_t accepted = 0;
    for (size_t size = 0; size < whole.size(); ++size) {
        const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        accepted += decode_audio(cut, "cut").has_value();
        std::vector<uint8_t> damaged = whole;
        damaged[size] ^= 0x55;
        accepted += decode_audio(damaged, "damaged").has_value();
    }
    CHECK(accepted == 0);
}

TEST_CASE("decode_audio: what stands behind the sound does not matter") {
    std::vector<uint8_t> tag(128);
    std::memcpy(tag.data(), "TAGTitle", 8);
    for (const char* name : {"ramp.flac", "tone.ogg", "stereo_8k_16bit.wav"}) {
        const std::vector<uint8_t> whole = file_bytes(fixture_dir() / name);
        const auto samples = decode_audio(whole, name).value();
        for (const std::vector<uint8_t>& behind : {tag, std::vector<uint8_t>(5), std::vector<uint8_t>(70000), std::vector<uint8_t>(300, 0xff)}) {
            CAPTURE(name);
            CAPTURE(behind.size());
            std::vector<uint8_t> longer = whole;
            longer.insert(longer.end(), behind.begin(), behind.end());
            const auto same = decode_audio(longer, "longer");
            REQUIRE(same.has_value());
            CHECK(*same == samples);
        }
    }
}

TEST_CASE("decode_audio: what is wrong is said in words of recordings") {
    std::vector<uint8_t> flac = file_bytes(fixture_dir() / "ramp.flac");
    flac.resize(flac.size() - 20);
    const auto cut = decode_audio(flac, "cut");
    REQUIRE_FALSE(cut.has_value());
    CHECK(mentions(cut.error(), "of 1000 frames can be read, then"));
    CHECK_FALSE(mentions(cut.error(), "No Error"));
    const auto odd = decode_audio(wav(1, 0, 16000, 16, 8, {1, 2, 3, 4, 5, 6, 7, 8}), "odd");
    REQUIRE_FALSE(odd.has_value());
    CHECK(mentions(odd.error(), "odd: damaged WAV: its header cannot be read"));
}

TEST_CASE("decode_audio: MP3, as long as the sound that was encoded, any cut is an error") {
    const std::vector<uint8_t> whole = file_bytes(fixture_dir() / "tone.mp3");
    CHECK(decode_audio(whole, "tone.mp3").value().size() == 2903);  // ceil(4000 * 16000 / 22050)
    size_t accepted = 0;
    for (size_t size = 0; size < whole.size(); ++size) {
        const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        accepted += decode_audio(cut, "cut").has_value();
    }
    CHECK(accepted == 0);
}

TEST_CASE("decode_audio: MP3 that calls itself WAV is refused") {
    const std::vector<uint8_t> mp3 = file_bytes(fixture_dir() / "tone.mp3");
    std::vector<uint8_t> disguised = mp3;  // the signatures of both
    std::memcpy(disguised.data() + 8, "WAVE", 4);
    CHECK(mentions(decode_error(disguised), "does not begin with RIFF"));
    std::vector<uint8_t> wrapped = wav(0x55, 1, 22050, 16, static_cast<uint32_t>(mp3.size()), mp3);
    CHECK(mentions(decode_error(wrapped), "MP3 inside"));
    const std::string_view rest("JUNK\4\0\0\0fmt ",
                                12);  // the real format chunk behind one that only looks like it
    wrapped.insert(wrapped.begin() + 12, rest.begin(), rest.end());
    CHECK(mentions(decode_error(wrapped), "MP3 inside"));
}

TEST_CASE("decode_audio: an ID3 tag in front changes nothing, whatever comes behind it") {
    // Version 2.4 with a footer and 150 bytes (0x01, 0x16 in 7 bits each), zeros behind it.
    std::vector<uint8_t> tag = {'I', 'D', '3', 4, 0, 0x10, 0, 0, 1, 0x16};
    tag.resize(10 + 150 + 10 + 37);
    for (const char* name : {"ramp.flac", "tone.ogg", "tone.mp3", "mono_16k_24bit.wav"}) {
        CAPTURE(name);
        const std::vector<uint8_t> plain = file_bytes(fixture_dir() / name);
        std::vector<uint8_t> tagged = tag;
        tagged.insert(tagged.end(), plain.begin(), plain.end());
        const auto samples = decode_audio(tagged, name);
        if (!samples) FAIL(samples.error().message);
        CHECK(*samples == decode_audio(plain, name).value());
    }
    std::vector<uint8_t> other = tag;
    const auto png = file_bytes(fixture_dir() / "rgb.png");
    other.insert(other.end(), png.begin(), png.end());
    CHECK(mentions(decode_error(other), "is an ID3 tag before PNG, not a recording"));
    CHECK(decode_error(tag).code == Errc::media_unsupported);
}

TEST_CASE("decode_audio: what does not fit into the context is refused by its header") {
    // 1 kHz: each byte of FLAC or WAV becomes many samples. The claim alone counts: there is no sound behind it.
    std::vector<uint8_t> flac = file_bytes(fixture_dir() / "ramp.flac");
    CHECK(decode_audio(flac, "ramp.flac", 1000).has_value());
    const auto over = decode_audio(flac, "ramp.flac", 999);
    REQUIRE_FALSE(over.has_value());
    CHECK(over.error().code == Errc::context_full);
    CHECK(mentions(over.error(), "ramp.flac: lasts 0.0 s"));
    flac.resize(42 + 100);
    const uint64_t hours = uint64_t{3} * 3600 * 16000;
    for (size_t i = 0; i < 4; ++i) flac[22 + i] = static_cast<uint8_t>(hours >> (24 - 8 * i));
    const auto claimed = decode_audio(flac, "claims", 5000000);
    REQUIRE_FALSE(claimed.has_value());
    CHECK(claimed.error().code == Errc::context_full);
    CHECK(mentions(claimed.error(), "lasts 10800.0 s or more; 312.5 s of sound have room"));
}

TEST_CASE("decode_audio: a length that no header tells is refused as soon as too much has come") {
    const std::vector<uint8_t> data(2 * 100000, 1);  // 100 s at 1 kHz in a pipe's WAV: 1.6 million samples
    const auto piped = wav(1, 1, 1000, 16, 0xffffffff, data);
    CHECK(decode_audio(piped, "piped").value().size() == 1600000);
    const auto refused = decode_audio(piped, "piped", 400000);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::context_full);
}

TEST_CASE("check_audio: what read_audio would say, without decoding") {
    for (const char* name : {"ramp.flac", "tone.ogg", "tone.mp3", "stereo_8k_16bit.wav"})
        CHECK(check_audio(fixture_dir() / name).has_value());
    for (const char* name : {"absent.wav", "rgb.png", "README.md", "."}) {
        const auto checked = check_audio(fixture_dir() / name);
        REQUIRE_FALSE(checked.has_value());
        CHECK(checked.error().message == read_audio(fixture_dir() / name).error().message);
    }
}

TEST_CASE("check_audio: of a long recording only the header is read, and what read_audio would say of that is said") {
    const test::ScratchFolder folder;
    const auto sparse = [&](const char* name, const std::vector<uint8_t>& head, uintmax_t size) {
        const auto path = folder.write(name, {reinterpret_cast<const char*>(head.data()), head.size()});
        fs::resize_file(path, size);
        return path;
    };
    const auto says = [&](const fs::path& path, const char* words) {
        const auto checked = check_audio(path);
        REQUIRE_FALSE(checked.has_value());
        CHECK(checked.error().message == read_audio(path).error().message);
        CHECK(mentions(checked.error(), words));
    };
    CHECK(check_audio(sparse("half.wav", wav(1, 2, 48000, 16, 300 << 20, {}), 44 + (300 << 20))).has_value());
    CHECK(check_audio(sparse("piped.wav", wav(1, 1, 16000, 16, 0xffffffff, {}), 1 << 20)).has_value());
    says(sparse("cut.wav", wav(1, 1, 16000, 16, 1 << 20, {}), (1 << 20) - 1), "truncated WAV: its data chunk claims 1048576");
    says(sparse("long.wav", wav(1, 1, 1000, 8, 12'000'000, {}), 44 + 12'000'000), "lasts 12000.0 s or more; no model's context holds more than 10485.7 s");
    says(sparse("rate.wav", wav(1, 1, 999, 8, 1 << 20, {}), 44 + (1 << 20)), "999 Hz");
    std::vector<uint8_t> big_endian = wav(1, 1, 16000, 16, 1 << 20, {});
    big_endian[3] = 'X';
    says(sparse("rifx.wav", big_endian, 1 << 20), "does not begin with RIFF");
    says(sparse("text.wav", {'n', 'o'}, 1 << 20), "unknown data, not a recording");
}

TEST_CASE("decode_audio: formats that libsndfile would read, but nobody promised") {
    std::vector<uint8_t> other = wav(1, 1, 16000, 16, 4, {0, 0, 1, 0});
    for (const char* kind : {"RF64", "RIFX"}) {
        std::memcpy(other.data(), kind, 4);
        CHECK(mentions(decode_error(other), "does not begin with RIFF"));
    }
    other = {'B', 'M', 0, 0};
    CHECK(mentions(decode_error(other), "is BMP, not a recording"));
    CHECK(mentions(decode_error({'f', 'L', 'a', 'C', 0, 0, 0, 0}), "damaged FLAC"));
}

TEST_CASE("decode_audio: any damaged header byte gives finite samples or one error") {
    std::vector<uint8_t> bytes = file_bytes(fixture_dir() / "stereo_8k_16bit.wav");
    for (size_t i = 0; i < 60; ++i) {
        for (int value = 0; value < 256; value += 5) {
            const uint8_t original = bytes[i];
            bytes[i] = static_cast<uint8_t>(value);
            const auto samples = decode_audio(bytes, "damaged");
            bytes[i] = original;
            if (!samples) {
                CHECK(samples.error().code == Errc::media_unsupported);
                continue;
            }
            size_t not_finite = 0;
            for (const float sample : *samples) not_finite += !std::isfinite(sample);
            CHECK(not_finite == 0);
        }
    }
}

TEST_CASE("read_audio: m4a and the sound of videos, by FFmpeg" * doctest::skip(!test::kFfmpeg)) {
    // A sine of 440 Hz at an eighth of full scale; AAC and Opus pad the begin or the end by up to a few thousandths of a second.
    for (const std::string name : {"tone.m4a", "upright.mov", "sound.webm"}) {
        const double amplitude = name == "tone.m4a" ? 0.125 / std::sqrt(2.0) : 0.125;  // it is stereo, of equal power
        const auto path = test::kClips / name;
        CAPTURE(name);
        CHECK(check_audio(path).has_value());
        const auto samples = read_audio(path);
        if (!samples) FAIL(samples.error().message);
        const double seconds = static_cast<double>(samples->size()) / kAudioSampleRate;
        CHECK(std::abs(seconds - std::round(seconds)) < 0.06);
        // Rising zeros of the middle, each a period.
        int periods = 0;
        double square = 0;
        const size_t from = samples->size() / 4, to = samples->size() * 3 / 4;
        for (size_t i = from; i < to; ++i) {
            periods += (*samples)[i - 1] < 0 && (*samples)[i] >= 0;
            square += double{(*samples)[i]} * (*samples)[i];
        }
        const double length = static_cast<double>(to - from);
        CHECK(std::abs(periods - 440 * length / kAudioSampleRate) <= 2);
        CHECK(std::abs(std::sqrt(square / length) - amplitude / std::sqrt(2.0)) < 0.01);
        CHECK(decode_audio(file_bytes(path), name).value() == *samples);
    }
    const auto silent = read_audio(test::kClips / "motion.mp4");
    REQUIRE_FALSE(silent.has_value());
    CHECK(mentions(silent.error(), "it has no sound track"));
    const auto bytes = file_bytes(test::kClips / "tone.m4a");
    for (size_t tenth = 0; tenth < 10; ++tenth) {
        const auto cut = decode_audio(std::span(bytes).first(bytes.size() * tenth / 10), "cut");
        REQUIRE_FALSE(cut.has_value());
        CHECK(cut.error().code == Errc::media_unsupported);
    }
}
