// Tags around recordings, lengths by the header alone, and Ogg files whose pages are sound while their headers are not.
#include "model/media/sound_container.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/model/media/support.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

Bytes of(std::string_view text) { return {text.begin(), text.end()}; }

// Writes the checksum of the page that begins at `at` anew.
void seal(Bytes& ogg, size_t at) {
    size_t size = 27 + size_t{ogg[at + 26]};
    for (size_t i = 0; i < ogg[at + 26]; ++i) size += ogg[at + 27 + i];
    uint32_t crc = 0;
    for (size_t i = 0; i < 4; ++i) ogg[at + 22 + i] = 0;
    for (size_t i = 0; i < size; ++i) {
        crc ^= uint32_t{ogg[at + i]} << 24;
        for (int bit = 0; bit < 8; ++bit) crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
    }
    for (size_t i = 0; i < 4; ++i) ogg[at + 22 + i] = static_cast<uint8_t>(crc >> 8 * i);
}

// One page that begins and ends a stream.
Bytes page(std::string_view packet) {
    Bytes ogg = of("OggS");
    ogg.resize(27);
    ogg[5] = 6;
    ogg[26] = 1;
    ogg.push_back(static_cast<uint8_t>(packet.size()));
    ogg = ogg + of(packet);
    seal(ogg, 0);
    return ogg;
}

std::string refusal(const Bytes& ogg) {
    const auto checked = check_ogg(ogg, "x");
    return checked ? "" : checked.error().message;
}

}  // namespace

TEST_CASE("tags in front: none, one, several, cut, and what only looks like one") {
    const Bytes sound = of("fLaC rest"), tag = of("ID3") + Bytes{3, 0, 0, 0, 0, 0, 2, 'x', 'y'};
    const auto rest = [](const Bytes& bytes) {
        const auto left = without_leading_tags(bytes);
        return Bytes(left.begin(), left.end());
    };
    CHECK(rest(sound) == sound);
    CHECK(rest(tag + sound) == sound);
    CHECK(rest(tag + tag + Bytes(5, 0) + sound) == sound);
    CHECK(rest(tag).empty());
    CHECK(rest(Bytes(tag.begin(), tag.end() - 1)).empty());
    CHECK(rest(Bytes(3, 0) + sound) == Bytes(3, 0) + sound);  // zeros are padding behind a tag only
    const Bytes odd = of("ID3") + Bytes{3, 0, 0, 0x80, 0, 0, 2, 'x', 'y'};
    CHECK(rest(odd) == odd);
}

TEST_CASE("tags behind an MP3") {
    const Bytes sound(300, 7);
    Bytes ape = Bytes(20, 1) + of("APETAGEX") + Bytes{0xd0, 7, 0, 0, 52, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    ape.resize(20 + 32);
    Bytes id3 = of("TAG");
    id3.resize(128);
    CHECK(without_trailing_tags(sound).size() == 300);
    CHECK(without_trailing_tags(sound + id3).size() == 300);
    CHECK(without_trailing_tags(sound + ape).size() == 300);
    CHECK(without_trailing_tags(sound + ape + id3).size() == 300);
    ape[20 + 12] = 0xff, ape[20 + 13] = 0xff;  // longer than the file
    CHECK(without_trailing_tags(sound + ape).size() == 352);
}

TEST_CASE("the begin of a WAV is enough, as far as its data") {
    const Bytes wav = file_bytes(fixture_dir() / "stereo_8k_16bit.wav");
    for (size_t size = 12; size <= wav.size(); ++size) CHECK(check_wav(std::span(wav).first(size), wav.size(), "x"));
    CHECK_FALSE(check_wav(std::span(wav).first(44), wav.size() - 1, "x"));
    CHECK(check_wav(std::span(wav).first(43), wav.size() - 1, "x"));  // the data's length is not in it
}

TEST_CASE("the length that a header claims") {
    const Bytes flac = file_bytes(fixture_dir() / "ramp.flac");
    const auto by_flac = claimed_format(std::span(flac).first(26), flac.size());
    REQUIRE(by_flac);
    CHECK(by_flac->channels == 1);
    CHECK(by_flac->sample_rate == 16000);
    CHECK(by_flac->frames == 1000);
    CHECK_FALSE(claimed_format(std::span(flac).first(25), flac.size()));

    const Bytes wav = file_bytes(fixture_dir() / "stereo_8k_16bit.wav");
    const auto by_wav = claimed_format(std::span(wav).first(44), wav.size());
    REQUIRE(by_wav);
    CHECK(by_wav->channels == 2);
    CHECK(by_wav->sample_rate == 8000);
    CHECK(by_wav->frames == 300);
    CHECK(claimed_format(std::span(wav).first(44), 44 + 40)->frames == 10);  // no more than the file holds
    CHECK_FALSE(claimed_format(std::span(wav).first(43), wav.size()));
    CHECK_FALSE(claimed_format(of("OggS"), 1000));
}

TEST_CASE("Ogg: sound pages around unusable headers are refused, and leave nothing behind") {
    CHECK(refusal(file_bytes(fixture_dir() / "tone.ogg")).empty());
    CHECK(refusal(page(std::string_view("\x01vorbis\0\0\0\0\x02", 12))).find("headers") != std::string::npos);
    CHECK(refusal(page(std::string_view("Speex   1.2", 11))).find("neither Vorbis nor Opus") != std::string::npos);
    CHECK(refusal(page("")).find("neither") != std::string::npos);
    // The second page holds the comment and the set-up; every byte of it damaged, with a right checksum. What the
    // decoder had set up before it noticed is what a leak checker looks for here.
    const Bytes whole = file_bytes(fixture_dir() / "tone.ogg");
    const std::string_view text(reinterpret_cast<const char*>(whole.data()), whole.size());
    const size_t second = text.find("OggS", 4), setup = text.find("\x05vorbis");
    REQUIRE(setup != std::string_view::npos);
    size_t refused = 0;
    for (size_t at = setup; at < setup + 200; ++at) {
        Bytes damaged = whole;
        damaged[at] ^= 0xff;
        seal(damaged, second);
        refused += !check_ogg(damaged, "x");
    }
    CHECK(refused > 10);
}

TEST_CASE("Ogg: the stream ends with its last page, unless another begins there") {
    const Bytes one = file_bytes(fixture_dir() / "tone.ogg");
    CHECK(check_ogg(one, "x")->size() == one.size());
    CHECK(check_ogg(one + Bytes(9, 0), "x")->size() == one.size());
    CHECK(check_ogg(one + of("Ogg"), "x")->size() == one.size());
    CHECK(check_ogg(one + one, "x")->size() == 2 * one.size());
    CHECK(refusal(one + of("OggS and no page")).find("is not whole") != std::string::npos);
}
