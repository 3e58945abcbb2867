// Frame counts of the specification and of transformers, and the zero padding.
#include "model/media/frames.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "model/media/placeholders.h"
#include "tests/model/media/support.h"

using namespace lapidary;
using namespace lapidary::model;

TEST_CASE("audio_soft_tokens: the partial last frame counts") {
    struct Row {
        size_t samples, tokens;
    };
    const Row rows[] = {{1, 1}, {639, 1}, {640, 1}, {641, 2}, {16000, 25}, {480000, 750}, {480001, 751}};
    for (const Row& row : rows) {
        CHECK(audio_soft_tokens(row.samples, kSamplesPerToken).value() == row.tokens);
        const FrameRows frames = samples_to_frames(std::vector<float>(row.samples, 1.0f)).value();
        CHECK(frames.count == row.tokens);
        CHECK(frames.values.size() == row.tokens * 640);
        CHECK(std::count(frames.values.begin(), frames.values.end(), 1.0f) == static_cast<long>(row.samples));
    }
    CHECK(audio_soft_tokens(UINT64_MAX, 2).value() == size_t{1} << 63);
}

TEST_CASE("samples_to_frames: the counts and floats of transformers' feature extractor") {
    const auto& rows = processor_golden("sounds");
    CHECK(rows.size() == 34);
    for (const auto& row : rows) {
        std::vector<float> wave(row["samples"].get<size_t>());
        for (size_t i = 0; i < wave.size(); ++i) {  // the golden's "wave"; dividing by 1024 is exact
            wave[i] = static_cast<float>(static_cast<int>(37 * i % 2001) - 1000) / 1024.0f;
        }
        const FrameRows frames = samples_to_frames(wave, row["samples_per_token"]).value();
        CHECK(frames.count == row["soft_tokens"]);
        CHECK_MESSAGE(crc32_text(frames.values) == row["crc32_frames_f32"].get<std::string>(), row.dump());
    }
}

TEST_CASE("samples_to_frames: samples in order, zeros on the right") {
    const std::vector<float> samples = {1, 2, 3, 4, 5, 6, 7};
    const FrameRows frames = samples_to_frames(samples, 3).value();
    CHECK(frames.values_per_row == 3);
    CHECK(frames.values == std::vector<float>{1, 2, 3, 4, 5, 6, 7, 0, 0});
}

TEST_CASE("samples_to_frames: nothing to frame is an error") {
    CHECK(samples_to_frames({}).error().code == Errc::media_unsupported);
    CHECK(samples_to_frames(std::vector<float>(3), 0).error().code == Errc::media_unsupported);
}
