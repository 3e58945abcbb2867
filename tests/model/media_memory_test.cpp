// Media that were decoded and embedded before are known by content, and nothing else passes for them.
#include "model/media_memory.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/session_state.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;
using model::MediaBlocks;
using model::MediaKey;
using model::MediaMemory;

namespace {

const std::filesystem::path kPicture = kTiny / "samples/image_1.png";

MediaMemory::Decoded decoded_of(size_t values) {
    auto rows = std::make_shared<model::MediaRows>();
    rows->frames.resize(values);
    return std::make_shared<const MediaBlocks>(MediaBlocks{{"", 1, std::move(rows)}});
}

MediaKey key(uint64_t number) { return {.kind = Part::Kind::audio, .source = {number, 0}}; }

std::string bytes_of_picture() { return read_file(kPicture); }

}  // namespace

TEST_CASE("media memory: a key is the content, the kind and the frames that are wanted") {
    const ScratchFolder folder;
    const auto file = folder.write("a.png", bytes_of_picture());
    const auto first = model::key_of(Part::image(file));
    REQUIRE(first);
    CHECK(model::key_of(Part::image(kPicture)) == first);  // wherever it lies
    const std::string bytes = bytes_of_picture();
    CHECK(model::key_of(Part::image(std::vector<uint8_t>(bytes.begin(), bytes.end()))) == first);
    std::string other = bytes;
    other.back() = static_cast<char>(other.back() ^ 1);
    folder.write("a.png", other);
    CHECK(model::key_of(Part::image(file)) != first);  // under the same name
    CHECK(model::key_of(Part::audio(kPicture)) != first);
    CHECK(model::key_of(Part::video(kPicture, {.count = 3})) != model::key_of(Part::video(kPicture, {.count = 4})));
    CHECK(model::key_of(Part::video(kPicture, {.count = 3})) == model::key_of(Part::video(kPicture, {.count = 3})));
    CHECK(!model::key_of(Part::image(folder.path() / "absent.png")));

    const std::vector<uint8_t> rgb(36, 7);
    CHECK(model::key_of(Part::image(rgb, 4, 3)) != model::key_of(Part::image(rgb, 3, 4)));
    const std::vector<float> samples(100, 0.5f);
    CHECK(model::key_of(Part::audio(samples, 8000)) != model::key_of(Part::audio(samples, 16000)));
}

TEST_CASE("media memory: what was not used for longest goes first, and what is too large is never kept") {
    MediaMemory memory;
    constexpr size_t kThird = MediaMemory::kLimitBytes / sizeof(float) / 3;
    for (const uint64_t n : {1, 2, 3}) memory.keep(key(n), decoded_of(kThird));
    CHECK(memory.decoded(key(1)));
    memory.keep(model::MediaContent{4, 0}, std::make_shared<const std::vector<float>>(kThird));
    CHECK(memory.decoded(key(1)));
    CHECK(!memory.decoded(key(2)));
    CHECK(memory.embedded({4, 0}));
    CHECK(!memory.embedded({4, 1}));
    memory.keep(key(5), decoded_of(4 * kThird));
    CHECK(!memory.decoded(key(5)));
    CHECK(memory.decoded(key(3)));
    CHECK(memory.forget() == 3 * kThird * sizeof(float));
    CHECK(!memory.decoded(key(3)));
    CHECK(!memory.embedded({4, 0}));
}

TEST_CASE("media memory: a picture of the conversation is decoded and embedded once, and its change is seen") {
    EngineOptions options;
    options.model = kTiny;
    options.threads = 2;
    const Engine engine = unwrap(open_engine(options));
    const ScratchFolder folder;
    const auto file = folder.write("a.png", bytes_of_picture());
    const auto rows_of = [&] {
        const Prompt prompt = unwrap(engine.render({.messages = {{Role::user, {Part::text("What?"), Part::image(file)}}}}));
        return model::Access::data(prompt).media.at(0).rows;
    };
    const auto row = [&] {
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.render({.messages = {{Role::user, {Part::text("What?"), Part::image(file)}}}}))));
        std::vector<float> out;
        unwrap(session.forward({}, [&](int64_t, std::span<const float> logits) {
            out.assign(logits.begin(), logits.end());
            return Flow::go;
        }));
        return out;
    };
    const auto first = rows_of();
    CHECK(rows_of() == first);  // the same in memory
    const auto logits = row();
    CHECK(row() == logits);
    auto& memory = model::Access::shared(engine)->media;
    const auto embedded = memory.embedded(first->content);
    REQUIRE(embedded);
    CHECK(memory.embedded(first->content) == embedded);
    folder.write("a.png", read_file(kTiny / "samples/image_2.png"));
    CHECK(rows_of() != first);
    CHECK(row() != logits);
    CHECK(memory.forget() > 0);
    CHECK(row() != logits);
    folder.write("a.png", bytes_of_picture());
    CHECK(row() == logits);  // decoded and embedded anew
    CHECK(rows_of() != first);
    CHECK(rows_of()->content == first->content);
}

TEST_CASE("media memory: rendering reports its media, and stops when it is told to") {
    EngineOptions options;
    options.model = kTiny;
    options.threads = 2;
    const Engine engine = unwrap(open_engine(options));
    const Conversation talk{.messages = {{Role::user, {Part::image(kPicture), Part::text("and"), Part::audio(kTiny / "samples/speech_1.wav")}}}};
    std::vector<uint64_t> reports;
    const auto count = [&](std::string_view stage, uint64_t done, uint64_t total) {
        CHECK(stage == "media");
        CHECK(total == 2000);
        reports.push_back(done);
        return true;
    };
    for (int pass = 0; pass < 2; ++pass) {  // decoded, and from memory
        reports.clear();
        unwrap(engine.render(talk, count));
        CHECK(reports == std::vector<uint64_t>{0, 1000, 1000, 2000});
    }
    for (const uint64_t at : {0, 1000}) {
        const auto stopped = engine.render(talk, [&](std::string_view, uint64_t done, uint64_t) { return done < at; });
        REQUIRE(!stopped);
        CHECK(stopped.error().code == Errc::cancelled);
    }
}

#ifdef LAP_TEST_FFMPEG
TEST_CASE("media memory: frames of a video are reported one by one, other frames are another medium") {
    EngineOptions options;
    options.model = kTiny;
    options.threads = 2;
    const Engine engine = unwrap(open_engine(options));
    const auto frames = [&](int32_t count, const ProgressSink& progress = {}) {
        const Prompt prompt = unwrap(engine.render({.messages = {{Role::user, {Part::video(kTiny / "samples/video_1.mp4", {.count = count})}}}}, progress));
        return model::Access::data(prompt).media.size();
    };
    std::vector<uint64_t> reports;
    CHECK(frames(4, [&](std::string_view, uint64_t done, uint64_t) {
              reports.push_back(done);
              return true;
          }) == 4);
    CHECK(reports == std::vector<uint64_t>{0, 250, 500, 750, 1000, 1000});
    CHECK(frames(2) == 2);
}
#endif
