// Conversations: each turn's prompt repeats what the sequence holds, and only the rest is computed.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "model/session_state.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

EngineOptions tiny_options() {
    EngineOptions o;
    o.model = kTiny;
    o.threads = 2;
    o.precise = true;
    o.context = 1024;
    return o;
}

GenerateOptions greedy(uint32_t tokens, bool to_the_end = true) {
    GenerateOptions o;
    o.sampling.temperature = 0.0f;
    o.max_tokens = tokens;
    o.ignore_eos = to_the_end;
    return o;
}

std::vector<uint8_t> noise(int32_t width, int32_t height) {
    std::vector<uint8_t> rgb;
    for (int32_t i = 0; i < width * height * 3; ++i) rgb.push_back(static_cast<uint8_t>(i * 37 + i / 7 * 11));
    return rgb;
}

struct Talk {
    explicit Talk(const Engine& of) : engine(of), session(unwrap(of.new_session())) {}

    // Says it, has it answered at length, and checks the first logits against a session that knows nothing.
    Usage turn(std::vector<Part> parts, uint32_t tokens = 40) {
        conversation.messages.push_back({Role::user, std::move(parts)});
        const Prompt prompt = unwrap(engine.render(conversation));
        kept = unwrap(session.replace(prompt));
        CHECK(session.position() == prompt.ids().size());
        Session going = unwrap(session.fork());  // takes along whatever way back there is
        Session fresh = unwrap(engine.new_session());
        unwrap(fresh.append(prompt));
        const auto want = last_row(fresh);
        CHECK(same(last_row(going), want));
        const Reply reply = unwrap(session.generate(greedy(tokens)));
        CHECK(same_ids(reply.tokens, unwrap(fresh.generate(greedy(tokens))).tokens));
        conversation.messages.push_back({Role::assistant, {Part::text(reply.text)}});
        return reply.usage;
    }
    static std::vector<float> last_row(Session& s) {
        std::vector<float> out;
        unwrap(s.forward({}, [&](int64_t, std::span<const float> row) {
            out.assign(row.begin(), row.end());
            return Flow::go;
        }));
        return out;
    }
    // Bits on the CPU; a GPU rounds otherwise where a prompt is cut otherwise.
    static bool same(const std::vector<float>& a, const std::vector<float>& b) {
        return on_gpu() ? range_error(a.data(), b.data(), static_cast<int64_t>(a.size())) <= 2e-3 : a == b;
    }
    static bool same_ids(const std::vector<int32_t>& a, const std::vector<int32_t>& b) { return on_gpu() ? a[0] == b[0] : a == b; }

    const Engine& engine;
    Session session;
    Conversation conversation;
    uint32_t kept = 0;
};

}  // namespace

TEST_CASE("session: three turns, a picture in the second, compute what is new and nothing else") {
    const Engine engine = unwrap(open_engine(tiny_options()));
    Talk talk(engine);
    const std::string long_text = "Once there were seven foxes and nine owls, and they told each other stories all night, of the moon and the sea.";
    CHECK(talk.turn({Part::text(long_text + long_text)}).cached == 0);
    const uint32_t first_reply = talk.session.position() - 40;
    // The window is 128 and the ring holds 16 more: without a checkpoint nothing of this could be kept.
    const Usage second = talk.turn({Part::image(kTiny / "samples/image_2.png"), Part::text("What do you see?")});
    CHECK(talk.kept >= first_reply - 4);
    CHECK(talk.kept < first_reply + 4);
    CHECK(second.cached == talk.kept);
    const uint32_t second_reply = talk.session.position() - 40;
    const Usage third = talk.turn({Part::text("And what is the capital of France?")}, 3);
    CHECK(third.cached == talk.kept);
    CHECK(talk.kept >= second_reply - 4);  // the picture is behind it
    // A reply of a few tokens stays within the ring.
    CHECK(talk.turn({Part::text("Thank you.")}).cached == talk.kept);
    CHECK(talk.kept > second_reply);
}

TEST_CASE("session: a turn said again goes back to its beginning, and further back all is computed again") {
    const Engine engine = unwrap(open_engine(tiny_options()));
    Talk talk(engine);
    std::string long_text = "Count from one to nine, please, and then";
    for (int i = 0; i < 12; ++i) long_text += " tell me about the days of the week and of the months, and then";
    talk.turn({Part::text(long_text + " stop.")});
    talk.turn({Part::text("Who are you?")});
    const uint32_t reply = talk.session.position() - 40;
    talk.conversation.messages.resize(2);
    CHECK(talk.turn({Part::text("Who are you?")}).cached == reply - 1);  // the last token once more, for its logits
    CHECK(talk.kept == reply);
    talk.conversation.messages.clear();
    const Usage anew = talk.turn({Part::text("Count from one to nine, please, and then stop.")});
    CHECK(talk.kept > 10);
    CHECK(anew.cached == 0);
}

TEST_CASE("session: what was said after a checkpoint does not pass for what stood there before") {
    const Engine engine = unwrap(open_engine(tiny_options()));
    Session session = unwrap(engine.new_session());
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 300; ++i) ids.push_back(300 + i * 13 % 211);
    const auto prompt = [&](std::vector<int32_t> of) { return unwrap(engine.tokens(of)); };
    unwrap(session.replace(prompt(ids)));
    unwrap(session.generate(greedy(30)));
    unwrap(session.rewind(294));  // to the checkpoint, and on with something else
    unwrap(session.append(prompt({7, 8, 9, 10, 11, 12, 13, 14})));
    Talk::last_row(session);
    unwrap(session.rewind(298));  // of the new tokens, that the checkpoint does not know
    Session fresh = unwrap(engine.new_session());
    ids.resize(294);
    for (const int32_t id : {7, 8, 9, 10}) ids.push_back(id);
    unwrap(fresh.append(prompt(ids)));
    CHECK(Talk::same(Talk::last_row(session), Talk::last_row(fresh)));
}

TEST_CASE("session: pictures that differ in one pixel are two, and the same one is not computed again") {
    const Engine engine = unwrap(open_engine(tiny_options()));
    const auto prompt = [&](std::vector<uint8_t> rgb, int32_t width, int32_t height) {
        return unwrap(engine.render({{{Role::user, {Part::image(std::move(rgb), width, height), Part::text("Which colour?")}}}}));
    };
    const auto rgb = noise(96, 48);
    auto other = rgb;
    other[3000] = static_cast<uint8_t>(other[3000] ^ 1);
    Session session = unwrap(engine.new_session());
    const Prompt first = prompt(rgb, 96, 48);
    const auto all = static_cast<uint32_t>(first.ids().size());
    unwrap(session.replace(first));
    unwrap(session.generate(greedy(2)));
    CHECK(unwrap(session.replace(prompt(rgb, 96, 48))) == all);
    CHECK(model::Access::state(session).pending.empty());
    const uint32_t kept = unwrap(session.replace(prompt(other, 96, 48)));
    CHECK(kept < all - 60);
    CHECK(model::Access::state(session).pending.size() == 1);
    CHECK(unwrap(session.generate(greedy(2))).usage.cached <= kept);
    CHECK(unwrap(session.replace(prompt(rgb, 48, 96))) == kept);
}

TEST_CASE("session: a prompt that does not fit replaces nothing, and turns by append keep no checkpoint") {
    EngineOptions options = tiny_options();
    options.context = 256;
    const Engine engine = unwrap(open_engine(options));
    Session session = unwrap(engine.new_session());
    const std::vector<int32_t> ids(200, 400), more(257, 400);
    unwrap(session.replace(unwrap(engine.tokens(ids))));
    const auto refused = session.replace(unwrap(engine.tokens(more)));
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::context_full);
    CHECK(refused.error().message == "the prompt has 257 tokens, 256 of the context of 256 are free");
    CHECK(session.position() == 200);
    unwrap(session.generate(greedy(30)));
    CHECK(model::Access::state(session).checkpoint.taken());
    Session appended = unwrap(engine.new_session());
    unwrap(appended.append(unwrap(engine.tokens(ids))));
    unwrap(appended.generate(greedy(30)));
    CHECK(!model::Access::state(appended).checkpoint.taken());
}
