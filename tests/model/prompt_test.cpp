// Prompts against transformers: chat layouts, ids, and where media rows stand.
#include <doctest/doctest.h>

#include "lapidary/tools.h"
#include "model/engine_state.h"
#include "tests/support/goldens.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

const Engine& tiny() {
    static const Engine engine = unwrap(Engine::open({.model = kTiny, .threads = 1}));
    return engine;
}

}  // namespace

TEST_CASE("prompt: raw parts begin with one BOS, given or not") {
    const int32_t bos = 2;
    for (const char* text : {"Hello", "<bos>Hello"}) {
        const Prompt p = unwrap(tiny().raw(std::vector{Part::text(text)}));
        REQUIRE(p.ids().size() > 1);
        CHECK(p.ids()[0] == bos);
        CHECK(p.ids()[1] != bos);
    }
}

TEST_CASE("prompt: media rows stand at their placeholders") {
    const auto& ids = model::Access::state(tiny()).loaded.config.ids;
    const Prompt p = unwrap(tiny().raw(std::vector{Part::text("a"), Part::image(kTiny / "samples/image_1.png"),
                                                   Part::text("b"), Part::audio(kTiny / "samples/speech_1.wav")}));
    REQUIRE(model::Access::data(p).media.size() == 2);
    const auto check = [&](const model::PromptData::Placed& m, int32_t begin, int32_t soft, int32_t end, int32_t count) {
        CHECK(m.count == count);
        CHECK(p.ids()[static_cast<size_t>(m.first - 1)] == begin);
        for (int32_t i = 0; i < m.count; ++i) CHECK(p.ids()[static_cast<size_t>(m.first + i)] == soft);
        CHECK(p.ids()[static_cast<size_t>(m.first + m.count)] == end);
    };
    check(model::Access::data(p).media[0], ids.begin_image, ids.image, ids.end_image, 64);
    check(model::Access::data(p).media[1], ids.begin_audio, ids.audio, ids.end_audio, 13);
}

TEST_CASE("prompt: pictures and sound from memory equal those from files") {
    const Prompt file = unwrap(tiny().raw(std::vector{Part::image(kTiny / "samples/image_4.png")}));
    const auto& patches = model::Access::data(file).media.at(0).rows->patches;
    CHECK(patches.x.size() == 64);
    std::vector<uint8_t> grey(96 * 96 * 3, 128);
    const Prompt memory = unwrap(tiny().raw(std::vector{Part::image(grey, 96, 96)}));
    CHECK(memory.ids() == file.ids());  // both become 384 x 384
    const float value = 128 * (1.0f / 255.0f);
    for (const float v : model::Access::data(memory).media.at(0).rows->patches.values) REQUIRE(v == value);
    CHECK(!tiny().raw(std::vector{Part::image(grey, 96, 95)}).has_value());
    CHECK(!tiny().raw(std::vector{Part::image(grey, -96, 96)}).has_value());

    const Prompt sound = unwrap(tiny().raw(std::vector{Part::audio(std::vector<float>(1000, 0.5f), 8000)}));
    CHECK(model::Access::data(sound).media.at(0).count == 4);  // 2000 samples at 16 kHz
    CHECK(!tiny().raw(std::vector{Part::audio(std::vector<float>(1000, 0.5f), 0)}).has_value());
}

TEST_CASE("prompt: the picture budget of the options is used") {
    const Engine engine = unwrap(Engine::open({.model = kTiny, .threads = 1, .image_tokens = 280}));
    const Prompt p = unwrap(engine.raw(std::vector{Part::image(kTiny / "samples/image_1.png")}));
    CHECK(model::Access::data(p).media.at(0).count == 256);
}

TEST_CASE("prompt: conversations from JSON keep order, roles and media") {
    const auto talk = unwrap(conversation_from_json(
        R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[)"
        R"({"type":"image","path":"a.png"},{"type":"text","text":"Look"},{"type":"audio","path":"b.wav"}]}]})"));
    REQUIRE(talk.messages.size() == 2);
    CHECK(talk.messages[0].role == Role::system);
    CHECK(talk.messages[0].plain_string);
    REQUIRE(talk.messages[1].parts.size() == 3);
    CHECK(talk.messages[1].parts[0].path == "a.png");
    CHECK(talk.messages[1].parts[1].text_value == "Look");
    CHECK(talk.messages[1].parts[2].kind == Part::Kind::audio);
    for (const char* bad : {"", "{", "[]", R"({"messages":3})", R"({"messages":[{"role":"king","content":"x"}]})"})
        CHECK(!conversation_from_json(bad).has_value());
}

TEST_CASE("prompt: control tokens in a user's text stay text unless allowed") {
    Conversation talk{{{Role::user, {Part::text("a<turn|>b")}}}};
    const auto& stop = tiny().info().stop_ids;
    const auto turns = [&](const Prompt& p) {
        int n = 0;
        for (const int32_t id : p.ids()) n += std::count(stop.begin(), stop.end(), id) > 0;
        return n;
    };
    const int safe = turns(unwrap(tiny().render(talk)));
    talk.allow_special = true;
    CHECK(turns(unwrap(tiny().render(talk))) == safe + 1);
}

TEST_CASE("prompt: a missing picture, an unreadable one and a video each give one clear error") {
    const auto error = [](const Part& part) {
        const auto p = tiny().raw(std::vector{part});
        REQUIRE(!p);
        CHECK(!p.error().hint.empty());
        return p.error();
    };
    CHECK(error(Part::image("no/such.png")).code == Errc::not_found);
    CHECK(error(Part::image(kTiny / "config.json")).code == Errc::media_unsupported);
    CHECK(error(Part::audio(kTiny / "config.json")).code == Errc::media_unsupported);
    CHECK(error(Part::video("no/such.mp4")).code == Errc::not_found);
    CHECK(error(Part::video(kTiny / "samples/image_1.png")).code == Errc::media_unsupported);
}

TEST_CASE("prompt: a projector joins the model when media come, and text never asks for it") {
    const ScratchFolder folder;
    auto pieces = small_pieces();
    pieces[kSmallVocab - 2] = "\u2581";  // a space, without which there is no tokenizer
    const auto model = folder.write("model.gguf", small_gguf().strings("tokenizer.ggml.tokens", pieces).build());
    const auto whole = small_projector().build();
    folder.write("mmproj.gguf", whole.substr(0, whole.size() / 3));
    const Engine engine = unwrap(Engine::open({.model = model, .threads = 1}));
    CHECK_FALSE(engine.info().audio);
    CHECK(engine.info().notes.empty());
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.raw(std::vector{Part::text("ab")}))));

    const std::vector parts = {Part::text("a"), Part::audio(std::vector<float>(25, 0.5f), 16000)};
    const auto refused = engine.raw(parts);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().message.find("'mmproj.gguf' is damaged") != std::string::npos);

    folder.write("second.gguf", whole);
    const Prompt sound = unwrap(engine.raw(parts));
    REQUIRE(model::Access::data(sound).media.size() == 1);
    CHECK(model::Access::data(sound).media[0].count == 3);  // 10 samples each
    unwrap(session.append(sound));
    CHECK(all_rows(session).size() > 0);
    const Engine none = unwrap(Engine::open({.model = model, .mmproj = "none", .threads = 1}));
    CHECK_FALSE(none.raw(parts).has_value());
}

TEST_CASE("prompt: sound stops where the context ends, of one recording and of all together") {
    const Engine engine = unwrap(Engine::open({.model = kTiny, .context = 64, .threads = 1}));
    const auto sound = [](size_t tokens) { return Part::audio(std::vector<float>(tokens * 640, 0.1f), 16000); };
    CHECK(engine.raw(std::vector{sound(64)}).has_value());
    for (const std::vector<Part>& parts : {std::vector{sound(65)}, std::vector{sound(30), sound(30), sound(5)},
                                           std::vector{sound(60), Part::image(kTiny / "samples/image_1.png")}}) {
        const auto refused = engine.raw(parts);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == Errc::context_full);
    }
}

TEST_CASE("prompt: a picture that has no room is refused by its header") {
    const Engine engine = unwrap(Engine::open({.model = kTiny, .context = 40, .threads = 1}));
    std::string png = read_file(kTiny / "samples/image_2.png");
    png[png.size() / 2] ^= 0x7f;  // its pixels cannot be decoded
    const ScratchFolder folder;
    const auto path = folder.write("a.png", png);
    const auto refused = engine.raw(std::vector{Part::image(path)});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::context_full);
    CHECK(refused.error().message == "the picture takes 63 tokens, the context holds 40");
    const auto second = engine.raw(std::vector{Part::audio(std::vector<float>(640, 0.1f), 16000), Part::image(path)});
    CHECK(second.error().message == "the first 2 pictures and recordings take 64 tokens, the context holds 40");
    CHECK(tiny().raw(std::vector{Part::image(path)}).error().code == Errc::media_unsupported);
}

TEST_CASE("prompt: media are checked without a model") {
    CHECK(check_media({}).has_value());
    const std::vector good = {Part::text("x"), Part::image(kTiny / "samples/image_2.png"),
                              Part::audio(kTiny / "samples/speech_2.wav"),
                              Part::image(std::vector<uint8_t>(12, 0), 2, 2)};
    CHECK(check_media(good).has_value());
    const auto code = [](const Part& part) { return check_media(std::vector{part}).error().code; };
    CHECK(code(Part::image("no/such.png")) == Errc::not_found);
    CHECK(code(Part::image(kTiny / "samples/speech_2.wav")) == Errc::media_unsupported);
    CHECK(code(Part::audio(kTiny / "samples/image_2.png")) == Errc::media_unsupported);
    CHECK(code(Part::video(kTiny / "samples/image_2.png")) == Errc::media_unsupported);
    CHECK(code(Part::video("v.mp4", {.count = 3, .fps = 1.0})) == Errc::invalid_argument);
    for (const VideoFrames& wrong : {VideoFrames{.count = 0, .fps = {}}, VideoFrames{.count = {}, .fps = -1.0}})
        CHECK(code(Part::video("v.mp4", wrong)) == Errc::invalid_argument);
}

TEST_CASE("prompt: a picture or a recording without values and without a file is called that") {
    for (const Part& part : {Part::image({}, 0, 0), Part::audio(std::vector<float>(), 16000), Part::video("")}) {
        const auto checked = check_media({&part, 1});
        const auto rendered = tiny().raw({&part, 1});
        REQUIRE(!checked);
        REQUIRE(!rendered);
        for (const Error& error : {checked.error(), rendered.error()}) {
            CHECK(error.code == Errc::invalid_argument);
            CHECK(error.message.find("without") != std::string::npos);
        }
    }
}

TEST_CASE("prompt: bytes of a picture given as a text are called that") {
    const std::string jpeg("\xff\xd8\xff\xe0\0\x10JFIF", 10), latin = "caf\xe9";
    CHECK(check_text("BMW and PDF: %PDF", "x").has_value());  // signatures, and yet text
    for (const Result<void>& checked : {check_text(jpeg, "x"), check_text(latin, "x")}) {
        REQUIRE_FALSE(checked.has_value());
        CHECK(checked.error().code == Errc::invalid_argument);
    }
    CHECK(check_text(jpeg, "standard input").error().message == "standard input is JPEG, not text");
    CHECK(check_text(latin, "x").error().message.find("offset 3") != std::string::npos);
    CHECK(tiny().raw(std::vector{Part::text(jpeg)}).error().message.find("is JPEG") != std::string::npos);
}
