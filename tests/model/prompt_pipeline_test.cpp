// Long prompts through engines of several parts that work at once: the bits of one device, whatever ends a prompt early.
#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "model/session_state.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

EngineOptions options_of(uint32_t chunk) {
    EngineOptions o;
    o.model = kData / "goldens/five_layers";
    o.threads = 1;
    o.context = 512;
    o.research.prefill_chunk = chunk;
    return o;
}

Session session_of(const Engine& engine, const char* name) {
    const Goldens goldens("five_layers");
    Session session = unwrap(engine.new_session());
    for (const auto& c : goldens.json["cases"])
        if (c["name"] == name) unwrap(session.append(unwrap(engine.raw(Goldens::parts(c)))));
    REQUIRE(session.position() > 0);
    return session;
}

std::vector<float> last_row(Session& session, ForwardOptions how = {}) {
    how.rows = Rows::last;
    std::vector<float> row;
    unwrap(session.forward(how, [&](int32_t, std::span<const float> logits) {
        row.assign(logits.begin(), logits.end());
        return Flow::go;
    }));
    return row;
}

std::vector<float> last_row(const Engine& engine, const char* name) {
    Session session = session_of(engine, name);
    std::vector<float> row = last_row(session);
    const int32_t id = 7;  // on keys and values of all chunks
    unwrap(session.append(unwrap(engine.tokens({&id, 1}))));
    const std::vector<float> next = last_row(session);
    row.insert(row.end(), next.begin(), next.end());
    return row;
}

}  // namespace

TEST_CASE("prompt pipeline: two and three devices give the bits of one, whatever the chunk") {
    for (const uint32_t chunk : {1u, 9u, 40u})
        for (const char* name : {"text_long", "mixed"}) {
            CAPTURE(chunk);
            CAPTURE(name);
            const EngineOptions options = options_of(chunk);
            const auto want = last_row(unwrap(Engine::open(options)), name);
            CHECK(last_row(unwrap(open_on(options, parts_of({{false}, {true}}, {1}))), name) == want);
            CHECK(last_row(unwrap(open_on(options, parts_of({{true}, {false}, {true}}, {2, 2}))), name) == want);
            CHECK(last_row(unwrap(open_on(options, parts_of({{true}, {true}, {false}}))), name) == want);
        }
}

TEST_CASE("prompt pipeline: progress comes on the caller's thread and only grows") {
    const Engine engine = unwrap(open_on(options_of(16), parts_of({{false}, {true}})));
    Session session = session_of(engine, "text_long");
    const auto caller = std::this_thread::get_id();
    uint64_t told = 0, calls = 0, total = 0;
    ForwardOptions how;
    how.progress = [&](std::string_view, uint64_t done, uint64_t all) {
        CHECK(std::this_thread::get_id() == caller);
        CHECK(done >= told);
        told = done;
        total = all;
        ++calls;
        return true;
    };
    last_row(session, how);
    CHECK(told == total);
    CHECK(total == session.position());
    CHECK(calls > 3);
}

TEST_CASE("prompt pipeline: stopped, thrown at or lost midway, a session goes on with what it would have said") {
    const EngineOptions options = options_of(16);
    const auto want = last_row(unwrap(Engine::open(options)), "mixed");
    const auto next_of = [](const Engine& engine, Session& session) {
        std::vector<float> row = last_row(session);
        const int32_t id = 7;
        unwrap(session.append(unwrap(engine.tokens({&id, 1}))));
        const std::vector<float> next = last_row(session);
        row.insert(row.end(), next.begin(), next.end());
        return row;
    };
    const Engine engine = unwrap(open_on(options, parts_of({{false}, {true}})));
    for (const int stop_at : {1, 4, 9}) {
        CAPTURE(stop_at);
        Session session = session_of(engine, "mixed");
        int calls = 0;
        ForwardOptions how;
        how.progress = [&](std::string_view, uint64_t, uint64_t) { return ++calls < stop_at; };
        const auto stopped = session.forward(how, {});
        REQUIRE(!stopped);
        CHECK(stopped.error().code == Errc::cancelled);
        how.progress = [&](std::string_view, uint64_t, uint64_t) -> bool { throw std::runtime_error("a sink's own"); };
        CHECK_THROWS_AS((void)session.forward(how, {}), std::runtime_error);
        CHECK(next_of(engine, session) == want);
    }
    int notes = 0;
    EngineOptions noted = options;
    noted.note = [&](std::string_view) { ++notes; };
    for (int64_t submit = 1; submit <= 5; ++submit) {
        CAPTURE(submit);
        auto trouble = std::make_shared<FarTrouble>();
        trouble->lost_at = {submit};
        const Engine lossy = unwrap(open_on(noted, parts_of({{false}, {.trouble = trouble}})));
        Session session = session_of(lossy, "mixed");
        notes = 0;
        CHECK(next_of(lossy, session) == want);
        CHECK(notes == 1);
    }
}

TEST_CASE("prompt pipeline: another session gets its turn in the midst of a prompt") {
    const EngineOptions options = options_of(4);
    const Engine engine = unwrap(open_on(options, parts_of({{false}, {true}})));
    const auto want = last_row(unwrap(Engine::open(options)), "text_long");
    Session first = session_of(engine, "text_long");
    std::atomic<bool> served = false;
    bool served_in_time = false;
    std::jthread other;
    ForwardOptions how;
    how.progress = [&](std::string_view, uint64_t done, uint64_t all) {
        if (!other.joinable()) {
            other = std::jthread([&] {
                Session second = unwrap(engine.new_session());
                const int32_t id = 5;
                unwrap(second.append(unwrap(engine.tokens({&id, 1}))));
                last_row(second);
                served = true;
            });
            while (!model::Access::state(engine).turns.others_wait()) std::this_thread::yield();
        }
        served_in_time = served_in_time || (served && done < all);
        return true;
    };
    std::vector<float> row = last_row(first, how);
    other.join();
    CHECK(served_in_time);
    CHECK(row == std::vector<float>(want.begin(), want.begin() + static_cast<int64_t>(row.size())));
}
