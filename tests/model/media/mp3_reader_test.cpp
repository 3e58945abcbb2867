// MP3 frame by frame: the right place and length of the sound, and nothing on stderr over damage.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <numbers>
#include <random>

#include "model/media/sound_reader.h"
#include "tests/model/media/support.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

std::vector<uint8_t> tone() { return file_bytes(fixture_dir() / "tone.mp3"); }

std::vector<float> frames_of(std::span<const uint8_t> bytes) {
    auto reader = open_mp3(bytes, "x");
    if (!reader) FAIL(reader.error().message);
    std::vector<float> all, block(777 * (*reader)->format().channels);
    for (;;) {
        const auto got = (*reader)->read(block);
        if (!got) FAIL(got.error().message);
        if (*got == 0) return all;
        const size_t values = *got * (*reader)->format().channels;
        all.insert(all.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(values));
    }
}

}  // namespace

TEST_CASE("mp3: the silence that the encoder put around the sound is gone") {
    const auto bytes = tone();
    const auto reader = open_mp3(bytes, "x");
    REQUIRE(reader);
    CHECK((*reader)->format().channels == 1);
    CHECK((*reader)->format().sample_rate == 22050);
    CHECK((*reader)->format().frames == 4000);
    const auto samples = frames_of(bytes);
    REQUIRE(samples.size() == 4000);
    // make_media_fixtures.py: 0.4 sin(2 pi 440 n / 22050). Lossy, so near: 10 % of the amplitude, which a shift by one
    // sample (12.5 % where the wave is steepest) exceeds. The ends see the encoder's window.
    float worst = 0;
    for (size_t n = 600; n < 3400; ++n) {
        const double want = 0.4 * std::sin(2 * std::numbers::pi * 440 * static_cast<double>(n) / 22050);
        worst = std::max(worst, std::abs(samples[n] - static_cast<float>(want)));
    }
    CHECK(worst < 0.04f);
}

TEST_CASE("mp3: tags behind the sound are no sound") {
    auto bytes = tone();
    const auto plain = frames_of(bytes);
    bytes.insert(bytes.end(), {'T', 'A', 'G'});
    bytes.resize(bytes.size() + 125, ' ');
    CHECK(frames_of(bytes) == plain);
}

TEST_CASE("mp3: damage is an error or sound, and the decoder stays silent about it") {
    const test::ScratchFolder folder;
    const auto log = folder.path() / "stderr";
    const int file = open(log.c_str(), O_CREAT | O_RDWR, 0600), saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    const auto whole = tone();
    std::mt19937 random(5);
    int errors = 0;
    for (int round = 0; round < 300; ++round) {
        auto bytes = whole;
        for (int i = 0; i < 40; ++i) {
            const size_t at = (round % 2 ? 4 : 200) + random() % (bytes.size() - 200);
            bytes[at] = static_cast<uint8_t>(random());
        }
        auto reader = open_mp3(bytes, "x");
        std::vector<float> block(4096);
        while (reader) {
            const auto got = (*reader)->read(block);
            if (!got || *got == 0) {
                errors += !got;
                break;
            }
        }
        errors += !reader;
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(file);
    CHECK(file_bytes(log).empty());
    CHECK(errors > 0);
}
