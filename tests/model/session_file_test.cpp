// Saved sessions go on as the unbroken ones do, and what is damaged or of another model is refused.
#include "model/session_file.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

EngineOptions options(uint32_t context = 512) {
    EngineOptions o;
    o.model = kTiny;
    o.threads = 2;
    o.context = context;
    return o;
}

GenerateOptions saying(uint32_t tokens) {
    GenerateOptions o;
    o.sampling.temperature = 0.0f;
    o.max_tokens = tokens;
    o.ignore_eos = true;
    return o;
}

Prompt user(const Engine& engine, std::vector<Part> parts) { return unwrap(engine.render({.messages = {{.role = Role::user, .parts = std::move(parts)}}})); }

std::string words(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += "word ";
    return out;
}

std::vector<float> logits(Session& session) {
    std::vector<float> out;
    unwrap(session.forward({}, [&](int64_t, std::span<const float> row) {
        out.assign(row.begin(), row.end());
        return Flow::go;
    }));
    return out;
}

// The rest of a sequence, and the logits behind it.
std::pair<std::vector<int32_t>, std::vector<float>> rest(Session session, uint32_t tokens = 24) {
    auto ids = unwrap(session.generate(saying(tokens))).tokens;
    return {std::move(ids), logits(session)};
}

void check_refused(const Engine& engine, const std::filesystem::path& file, Errc code, const std::string& words) {
    const auto session = Session::restore(engine, file);
    REQUIRE(!session);
    CHECK(session.error().code == code);
    CHECK_MESSAGE(session.error().message.find(words) != std::string::npos, session.error().message);
    CHECK(session.error().message.find(file.filename().string()) != std::string::npos);
    CHECK(!session.error().hint.empty());
}

}  // namespace

TEST_CASE("session: saved and restored, it goes on as the unbroken one, behind the ring's end too") {
    const ScratchFolder folder;
    const auto file = folder.path() / "session";
    const Engine engine = unwrap(open_engine(options()));
    for (const int length : {5, 110, 300}) {  // the window is 128 and the ring has 144 rows
        CAPTURE(length);
        Session session = unwrap(engine.new_session());
        unwrap(session.append(user(engine, {Part::text(words(length))})));
        unwrap(session.generate(saying(20)));
        unwrap(session.save(file));
        const uint32_t position = session.position();
        Session fork = unwrap(session.fork());
        const Engine other = unwrap(open_engine(options()));
        Session restored = unwrap(Session::restore(other, file));
        CHECK(restored.position() == position);
        const auto& state = model::Access::state(restored);
        CHECK(state.computed == model::Access::state(session).computed);  // nothing is to be computed again
        const auto want = rest(std::move(session)), got = rest(std::move(restored)), forked = rest(std::move(fork));
        CHECK(got == want);
        CHECK(forked == want);
    }
}

TEST_CASE("session: saved behind a turn, the next one finds its checkpoint, and pictures are known again") {
    const ScratchFolder folder;
    const auto file = folder.path() / "session";
    const Engine engine = unwrap(open_engine(options()));
    Conversation talk{.messages = {{.role = Role::user, .parts = {Part::image(kTiny / "samples/image_2.png"), Part::text("What is this? " + words(150))}}}};
    Session session = unwrap(engine.new_session());
    unwrap(session.replace(unwrap(engine.render(talk))));
    const Reply reply = unwrap(session.generate(saying(60)));
    unwrap(session.save(file));
    Session restored = unwrap(Session::restore(engine, file));
    talk.messages.push_back({.role = Role::assistant, .parts = {Part::text(reply.text)}});
    talk.messages.push_back({.role = Role::user, .parts = {Part::text("And who are you?")}});
    const Prompt next = unwrap(engine.render(talk));
    CHECK(unwrap(restored.replace(next)) == unwrap(session.replace(next)));
    const Reply want = unwrap(session.generate(saying(20))), got = unwrap(restored.generate(saying(20)));
    CHECK(got.usage.cached == want.usage.cached);
    CHECK(got.usage.cached > 150);
    CHECK(got.tokens == want.tokens);
    CHECK(logits(restored) == logits(session));
}

TEST_CASE("session file: what is queued is saved queued, media and a note included") {
    const ScratchFolder folder;
    const auto file = folder.path() / "session";
    const Engine engine = unwrap(open_engine(options()));
    for (const bool given_back : {false, true}) {
        Session session = unwrap(engine.new_session());
        unwrap(session.append(user(engine, {Part::text("Hello.")})));
        unwrap(session.generate(saying(12)));
        unwrap(session.append(user(engine, {Part::image(kTiny / "samples/image_2.png"), Part::audio(kTiny / "samples/speech_1.wav"), Part::text("What?")})));
        model::SessionState& state = model::Access::state(session);
        if (given_back) state.forget_caches();
        unwrap(model::save_session(state, file, "a note"));
        auto saved = unwrap(model::restore_session(model::Access::shared(engine), file));
        CHECK(saved.note == "a note");
        CHECK(saved.session->computed == state.computed);
        CHECK((state.computed == 0) == given_back);
        CHECK(saved.session->pending.size() == 2);
        CHECK(rest(model::Access::session(std::move(saved.session))) == rest(std::move(session)));
    }
}

TEST_CASE("session file: what one device saved another one goes on with, whoever has which layers") {
    const ScratchFolder folder;
    const auto file = folder.path() / "session";
    const Engine cpu = unwrap(Engine::open(options()));
    const Engine far = unwrap(open_on(options(), parts_of({{.far = true}, {.far = false}, {.far = true}})));
    Session session = unwrap(cpu.new_session());
    unwrap(session.append(user(cpu, {Part::text(words(200))})));
    unwrap(session.generate(saying(10)));
    unwrap(session.save(file));
    Session there = unwrap(Session::restore(far, file));
    unwrap(there.generate(saying(10)));
    unwrap(there.save(file));
    Session back = unwrap(Session::restore(cpu, file));
    unwrap(session.generate(saying(10)));
    CHECK(rest(std::move(back)) == rest(std::move(session)));
}

TEST_CASE("session file: a shorter context takes it as long as it holds the tokens") {
    const ScratchFolder folder;
    const auto file = folder.path() / "session";
    const Engine engine = unwrap(open_engine(options()));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(user(engine, {Part::text(words(60))})));
    unwrap(session.generate(saying(30)));
    unwrap(session.rewind(session.position() - 40));
    unwrap(session.save(file));
    const Engine shorter = unwrap(open_engine(options(100)));  // shorter than the window
    CHECK(rest(unwrap(Session::restore(shorter, file)), 10) == rest(std::move(session), 10));
    check_refused(unwrap(open_engine(options(20))), file, Errc::context_full, "tokens, the context has 20");
}

TEST_CASE("session file: gone back to where a reply began, a context without room for the checkpoint computes it anew") {
    const ScratchFolder folder;
    const auto file = folder.path() / "session";
    const Engine engine = unwrap(open_engine(options()));
    Session session = unwrap(engine.new_session());
    unwrap(session.replace(user(engine, {Part::text(words(150))})));
    const uint32_t begin = session.position();
    unwrap(session.generate(saying(60)));
    unwrap(session.rewind(begin));
    REQUIRE(model::Access::state(session).checkpoint.pending);
    unwrap(session.save(file));
    const auto want = rest(std::move(session), 3);
    const Engine shorter = unwrap(open_engine(options(begin + 4)));
    Session restored = unwrap(Session::restore(shorter, file));
    unwrap(restored.save(file));  // before anything is computed
    CHECK(rest(std::move(restored), 3) == want);
    CHECK(rest(unwrap(Session::restore(shorter, file)), 3) == want);
}

TEST_CASE("session file: damage anywhere, other models, formats and kinds of files are refused and named") {
    const ScratchFolder folder;
    const auto file = folder.path() / "session";
    const Engine engine = unwrap(open_engine(options()));
    Session session = unwrap(engine.new_session());
    unwrap(session.replace(user(engine, {Part::image(kTiny / "samples/image_2.png"), Part::text("What?")})));
    unwrap(session.generate(saying(16)));
    unwrap(session.save(file));
    const std::string whole = read_file(file);
    for (size_t tenth = 0; tenth < 10; ++tenth)
        check_refused(engine, folder.write("cut", whole.substr(0, whole.size() * tenth / 10)), Errc::bad_session_file, tenth == 0 ? "not a saved session" : "damaged");
    for (size_t i = 0; i < 60; ++i) {
        std::string bytes = whole;
        const size_t at = 16 + (whole.size() - 17) * i / 59;
        bytes[at] = static_cast<char>(bytes[at] ^ 1);
        check_refused(engine, folder.write("changed", bytes), Errc::bad_session_file, "damaged");
    }
    check_refused(engine, folder.path() / "absent", Errc::not_found, "No such file");
    check_refused(engine, folder.write("text", "Dear diary"), Errc::bad_session_file, "not a saved session");

    EngineOptions other = options();
    other.kv = KvFormat::q8_0;
    check_refused(unwrap(open_engine(other)), file, Errc::bad_session_file, "keys and values in 'f16', this engine keeps them in q8_0");
    other = options(64);
    other.model = folder.write("small.gguf", small_gguf().build());
    check_refused(unwrap(open_engine(other)), file, Errc::bad_session_file, "was saved with another model");

    // Nothing of this has done the engine any harm, and a file that cannot be written leaves the session as it is.
    CHECK(session.save(folder.path() / "absent/session").error().code == Errc::io_error);
    CHECK(session.save(folder.path()).error().code == Errc::io_error);
    CHECK(rest(unwrap(Session::restore(engine, file))) == rest(std::move(session)));
}

TEST_CASE("session file: numbers that contradict each other are no session, with checksums that agree") {
    const ScratchFolder folder;
    const auto file = folder.path() / "session";
    const Engine engine = unwrap(open_engine(options()));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(user(engine, {Part::image(kTiny / "samples/image_2.png"), Part::text("What?")})));
    model::SessionState& state = model::Access::state(session);
    const auto refused = [&](const std::string& words) {
        unwrap(session.save(file));
        check_refused(engine, file, Errc::bad_session_file, words);
    };
    const auto ids = state.ids;
    state.ids[3] = 1 << 20;
    refused("there is no token 1048576");
    state.ids = ids;
    const int32_t position = std::exchange(state.soft[0].position, static_cast<int32_t>(ids.size()) - 1);
    refused("contradict each other");
    state.soft[0].position = position;
    state.delivered = static_cast<int32_t>(ids.size()) + 1;
    refused("contradict each other");
    state.delivered = 0;
    auto rows = std::make_shared<model::MediaRows>(*state.pending[0].rows);
    rows->patches.x[1] = 1 << 24;
    state.pending[0].rows = rows;
    refused("a patch of a picture at place 16777216");
}
