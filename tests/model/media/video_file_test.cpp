// Videos through the FFmpeg module: frames against PyAV's, rotation, counts that no container gives, and damage.
#include "model/media/video_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tests/model/media/support.h"
#include "tests/support/goldens.h"
#include "tests/support/raw_avi.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::model;
using test::kClips;
using test::kFfmpeg;
using test::read_json;
using test::unwrap;

namespace {

bool mentions(const Error& error, std::string_view words) { return error.message.find(words) != std::string::npos; }

MediaSource clip(const std::string& name) { return unwrap(MediaSource::file(kClips / name)); }

FrameChoice choice_of(const nlohmann::json& c) {
    FrameChoice choice;
    if (c.contains("num_frames")) choice.frames = c["num_frames"].get<int64_t>();
    if (c.contains("fps")) choice.fps = c["fps"].get<double>();
    return choice;
}

std::vector<VideoFrame> frames_of(const MediaSource& source, const std::vector<int64_t>& indices) {
    std::vector<VideoFrame> frames;
    const int64_t end = unwrap(read_frames(source, indices, [&](VideoFrame frame) -> Result<void> {
        frames.push_back(std::move(frame));
        return {};
    }));
    CHECK(end == -1);
    return frames;
}

}  // namespace

TEST_CASE("read_frames: the frames that transformers takes, with PyAV's pixels" * doctest::skip(!kFfmpeg)) {
    // Other versions of FFmpeg round the conversion from YUV another way; the decoders themselves are exact.
    constexpr int kTolerance = 3;
    int worst = 0, cases = 0;
    const auto goldens = read_json(golden_dir() / "video.json");
    for (const auto& c : goldens["cases"]) {
        const std::string file = c["file"];
        CAPTURE(file);
        const MediaSource source = clip(file);
        const VideoFacts facts = unwrap(video_facts(source));
        CHECK(facts.frames == c["frames"].get<int64_t>());
        CHECK(facts.fps == doctest::Approx(c["fps_of_file"].get<double>()).epsilon(1e-12));
        CHECK(facts.size == ImageSize{c["size"][0].get<uint32_t>(), c["size"][1].get<uint32_t>()});
        const auto indices = sampled_frames(facts.frames, facts.fps, choice_of(c));
        REQUIRE(indices == c["indices"].get<std::vector<int64_t>>());
        const auto frames = frames_of(source, indices);
        REQUIRE(frames.size() == indices.size());
        for (size_t i = 0; i < frames.size(); ++i) {
            CHECK(frames[i].index == indices[i]);
            const auto& rgb = frames[i].image.rgb;
            REQUIRE(rgb.size() == size_t{facts.size.width} * facts.size.height * 3);
            size_t k = 0;
            for (const int expected : c["probes"][i]) worst = std::max(worst, std::abs(rgb[(k++ * 7919 + 13) % rgb.size()] - expected));
        }
        ++cases;
    }
    CHECK(cases == 24);
    MESSAGE("largest difference of a pixel value: " << worst);
    CHECK(worst <= kTolerance);
}

TEST_CASE("read_frames: a video that was filmed upright stands upright" * doctest::skip(!kFfmpeg)) {
    const Image lying = frames_of(clip("upright.mov"), {0}).at(0).image;
    const Image standing = frames_of(clip("turned.mov"), {0}).at(0).image;
    REQUIRE(standing.width == lying.height);
    REQUIRE(standing.height == lying.width);
    for (uint32_t y = 0; y < standing.height; ++y)
        for (uint32_t x = 0; x < standing.width; ++x)
            for (uint32_t c = 0; c < 3; ++c)  // a quarter turn anticlockwise, as the ffmpeg program shows it
                REQUIRE(standing.rgb[(y * standing.width + x) * 3 + c] ==
                        lying.rgb[(x * lying.width + lying.width - 1 - y) * 3 + c]);
}

TEST_CASE("read_frames: every pixel of a row, whatever its width" * doctest::skip(!kFfmpeg)) {
    for (const uint32_t width : {2u, 4u, 6u, 8u, 10u, 34u, 64u, 100u, 426u, 854u})
        for (const uint32_t height : {2u, 6u, 48u}) {
            CAPTURE(width);
            CAPTURE(height);
            const auto frames = frames_of(MediaSource::memory(test::grey_avi(width, height, 128), "a grey frame"), {0});
            REQUIRE(frames.size() == 1);
            const auto& rgb = frames[0].image.rgb;
            REQUIRE(rgb.size() == size_t{3} * width * height);
            CHECK(rgb[0] > 120);  // (128 - 16) * 255 / 219
            CHECK(rgb[0] < 140);
            CHECK(std::all_of(rgb.begin(), rgb.end(), [&](uint8_t v) { return v == rgb[0]; }));
        }
}

TEST_CASE("read_frames: from memory as from a file, and a sink that gives up is heard" * doctest::skip(!kFfmpeg)) {
    const auto bytes = file_bytes(kClips / "motion.mp4");
    const auto memory = MediaSource::memory(bytes, "a clip");
    CHECK(unwrap(video_facts(memory)).frames == 40);
    CHECK(frames_of(memory, {0, 39}).at(1).image.rgb == frames_of(clip("motion.mp4"), {39}).at(0).image.rgb);
    int seen = 0;
    const std::vector<int64_t> all = {0, 1, 2};
    const auto stopped = read_frames(memory, all, [&](const VideoFrame&) -> Result<void> {
        ++seen;
        return Error{Errc::cancelled, "enough", ""};
    });
    CHECK(stopped.error().code == Errc::cancelled);
    CHECK(seen == 1);
}

TEST_CASE("read_frames: asked for frames behind the last, it says how many there are" * doctest::skip(!kFfmpeg)) {
    const std::vector<int64_t> indices = {0, 40};
    CHECK(unwrap(read_frames(clip("motion.mkv"), indices, [](const VideoFrame&) -> Result<void> { return {}; })) == 40);
}

TEST_CASE("video_facts: no file that is cut at any tenth passes for a whole one" * doctest::skip(!kFfmpeg)) {
    for (const char* name : {"motion.mp4", "motion.mkv", "sound.webm", "full_range.avi", "turned.mov"}) {
        const auto bytes = file_bytes(kClips / name);
        CHECK(video_facts(MediaSource::memory(bytes, name)).has_value());
        for (size_t tenth = 0; tenth < 10; ++tenth) {
            const auto cut = std::span(bytes).first(bytes.size() * tenth / 10);
            const auto facts = video_facts(MediaSource::memory(cut, name));
            CAPTURE(name);
            CAPTURE(tenth);
            REQUIRE_FALSE(facts.has_value());
            CHECK(facts.error().code == Errc::media_unsupported);
            CHECK(facts.error().message.starts_with(name));
            CHECK_FALSE(facts.error().hint.empty());
        }
    }
}

TEST_CASE("video_facts: any damaged byte gives frames or one error" * doctest::skip(!kFfmpeg)) {
    auto bytes = file_bytes(kClips / "motion.mp4");
    for (size_t i = 0; i < bytes.size(); i += 97) {
        const uint8_t before = bytes[i];
        bytes[i] ^= 0x55;
        const auto memory = MediaSource::memory(bytes, "clip");
        if (const auto facts = video_facts(memory)) {
            const std::vector<int64_t> last = {facts->frames - 1};
            const auto read = read_frames(memory, last, [](const VideoFrame& frame) -> Result<void> {
                CHECK(frame.image.rgb.size() == size_t{frame.image.width} * frame.image.height * 3);
                return {};
            });
            if (!read) CHECK_FALSE(read.error().message.empty());
        } else {
            CHECK_FALSE(facts.error().hint.empty());
        }
        bytes[i] = before;
    }
}

TEST_CASE("check_video: what is no video is called what it is") {
    const auto says = [](const MediaSource& source, const char* words) {
        const auto checked = check_video(source);
        REQUIRE_FALSE(checked.has_value());
        CHECK(mentions(checked.error(), words));
        CHECK_FALSE(checked.error().hint.empty());
    };
    says(unwrap(MediaSource::file(fixture_dir() / "rgb.png")), "is PNG, not a video");
    says(unwrap(MediaSource::file(fixture_dir() / "tone.mp3")), "is MP3, not a video");
    says(MediaSource::memory({}, "nothing"), "is empty");
    if (kFfmpeg) says(clip("tone.m4a"), "it has no video track");
    if (kFfmpeg) says(unwrap(MediaSource::file(fixture_dir() / "tone.ogg")), "it has no video track");
    if (!kFfmpeg) says(clip("motion.mp4"), "needs FFmpeg");
}
