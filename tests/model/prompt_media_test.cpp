// Media of every kind as blocks among the ids: videos against transformers, clips of long recordings, bytes in memory.
#include "model/prompt_media.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "model/access.h"
#include "model/engine_state.h"
#include "tests/support/goldens.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

const Engine& tiny() {
    static const Engine engine = unwrap(Engine::open({.model = kTiny, .threads = 1}));
    return engine;
}

const std::vector<model::PromptData::Placed>& placed(const Prompt& prompt) { return model::Access::data(prompt).media; }

Prompt raw(const Part& part) { return unwrap(tiny().raw(std::vector{part})); }

std::vector<uint8_t> bytes_of(const std::filesystem::path& path) {
    const std::string text = read_file(path);
    return {text.begin(), text.end()};
}

// Whether two prompts have the same ids and the same rows.
bool same(const Prompt& a, const Prompt& b) {
    if (a.ids() != b.ids() || placed(a).size() != placed(b).size()) return false;
    for (size_t i = 0; i < placed(a).size(); ++i) {
        const auto &x = *placed(a)[i].rows, &y = *placed(b)[i].rows;
        if (x.picture != y.picture || x.patches.values != y.patches.values || x.frames != y.frames) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("prompt media: a video becomes the tokens that transformers makes of it" * doctest::skip(!kFfmpeg)) {
    const auto goldens = read_json(std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/data/goldens/video.json");
    int cases = 0;
    for (const auto& c : goldens["cases"]) {
        VideoFrames frames;
        if (c.contains("num_frames")) frames.count = c["num_frames"].get<int32_t>();
        if (c.contains("fps")) frames.fps = c["fps"].get<double>();
        const std::string file = c["file"];
        CAPTURE(file);
        const Prompt prompt = raw(Part::video(kClips / file, frames));
        auto expected = c["ids"].get<std::vector<int32_t>>();
        expected.insert(expected.begin(), model::Access::state(tiny()).loaded.config.ids.bos);
        CHECK(prompt.ids() == expected);
        CHECK(placed(prompt).size() == c["indices"].size());
        ++cases;
    }
    CHECK(cases == 24);
}

TEST_CASE("prompt media: every frame is a block of its own, at its own rows" * doctest::skip(!kFfmpeg)) {
    const Prompt prompt = raw(Part::video(kClips / "motion.mp4"));  // this model's own number of frames: 4
    REQUIRE(placed(prompt).size() == 4);
    const int32_t soft = model::Access::state(tiny()).loaded.config.ids.video;
    for (const auto& block : placed(prompt)) {
        CHECK(block.rows->picture);
        CHECK(block.count == static_cast<int32_t>(block.rows->patches.x.size()));
        for (int32_t i = -1; i <= block.count; ++i)
            CHECK((prompt.ids()[static_cast<size_t>(block.first + i)] == soft) == (i >= 0 && i < block.count));
    }
    CHECK(placed(prompt)[0].rows->patches.values != placed(prompt)[1].rows->patches.values);
    CHECK(placed(raw(Part::video(kClips / "full_range.avi", {.count = 8000, .fps = {}}))).size() == 8);
}

TEST_CASE("prompt media: a video that has no room is refused before it is decoded" * doctest::skip(!kFfmpeg)) {
    const Engine engine = unwrap(Engine::open({.model = kTiny, .context = 200, .threads = 1}));
    const auto refused = engine.raw(std::vector{Part::video(kClips / "motion.mp4")});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::context_full);
    CHECK(refused.error().message.starts_with("the video takes "));
    CHECK(refused.error().hint.find("fewer frames") != std::string::npos);
    CHECK(engine.raw(std::vector{Part::video(kClips / "motion.mp4", {.count = 1, .fps = {}})}).has_value());
}

TEST_CASE("prompt media: a recording of more than 30 seconds becomes clips, each with its markers") {
    const auto& ids = model::Access::state(tiny()).loaded.config.ids;
    std::vector<float> samples(480001);
    for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<float>(i % 977) / 977;
    const Prompt prompt = raw(Part::audio(samples, 16000));
    std::vector<int32_t> expected = {ids.bos, ids.begin_audio};
    expected.insert(expected.end(), 750, ids.audio);
    expected.insert(expected.end(), {ids.end_audio, ids.begin_audio, ids.audio, ids.end_audio});
    CHECK(prompt.ids() == expected);
    REQUIRE(placed(prompt).size() == 2);
    CHECK(placed(prompt)[1].rows->frames[0] == samples[480000]);
    CHECK(placed(prompt)[1].rows->frames[1] == 0);
    samples.pop_back();
    CHECK(placed(raw(Part::audio(samples, 16000))).size() == 1);
}

TEST_CASE("prompt media: bytes of a file in memory are that file") {
    const auto image = kTiny / "samples/image_2.png", sound = kTiny / "samples/speech_2.wav";
    CHECK(same(raw(Part::image(bytes_of(image))), raw(Part::image(image))));
    CHECK(same(raw(Part::audio(bytes_of(sound))), raw(Part::audio(sound))));
    if (kFfmpeg) {
        const auto video = kClips / "motion.mkv", track = kClips / "tone.m4a";
        CHECK(same(raw(Part::video(bytes_of(video))), raw(Part::video(video))));
        CHECK(same(raw(Part::audio(bytes_of(track))), raw(Part::audio(track))));
        CHECK(check_media(std::vector{Part::video(bytes_of(video)), Part::audio(bytes_of(track))}).has_value());
    }
    CHECK(check_media(std::vector{Part::image(bytes_of(image)), Part::audio(bytes_of(sound))}).has_value());
    for (const Part& wrong : {Part::image(bytes_of(sound)), Part::audio(bytes_of(image)), Part::video(bytes_of(image))}) {
        const auto checked = check_media(std::vector{wrong});
        const auto made = tiny().raw(std::vector{wrong});
        REQUIRE_FALSE(checked.has_value());
        REQUIRE_FALSE(made.has_value());
        CHECK(checked.error().code == Errc::media_unsupported);
        CHECK(made.error().message == checked.error().message);
    }
}
