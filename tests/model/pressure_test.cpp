// Memory that others take while sessions are there: what is given back, in which order, and that nobody says anything else
// because of it. On invented machines, and once in a real control group.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <string>
#include <thread>

#include "model/session_state.h"
#include "tests/support/invented_machine.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kPlenty = 8192 * kMiB, kShort = 300 * kMiB;  // of 16 GiB: half of the floor are 410 MiB
constexpr const char* kWaiting = "some avg10=40.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=25.00 avg60=1.00 avg300=0.00 total=1";

struct Laptop {
    InventedMachine machine;
    std::vector<std::string> notes;

    Laptop() { set_free(kPlenty); }
    void set_free(uint64_t bytes) const {
        machine.put("proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: " + std::to_string(bytes >> 10) + " kB\nSwapFree: 0 kB");
    }
    EngineOptions options() {
        EngineOptions o;
        o.model = kTiny;
        o.threads = 1;
        o.context = 4096;
        o.sessions = 3;
        o.cache_folder = "none";
        o.research.system_root = machine.root();
        o.note = [this](std::string_view note) { notes.emplace_back(note); };
        return o;
    }
};

void append(const Engine& engine, Session& session, int32_t count) {
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < count; ++i) ids.push_back((11 + 7 * i + static_cast<int32_t>(session.position())) % engine.info().vocab);
    unwrap(session.append(unwrap(engine.tokens(ids))));
}

Result<std::vector<int32_t>> reply_of(Session& session, uint32_t tokens = 3) {
    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    greedy.max_tokens = tokens;
    greedy.ignore_eos = true;
    auto reply = session.generate(greedy);
    if (!reply) return reply.error();
    return reply->tokens;
}

model::SessionState& state(Session& session) { return model::Access::state(session); }

using Time = std::chrono::steady_clock;
void let_look(Session& session, bool now = true) {
    state(session).engine->looked = now ? Time::time_point() : Time::now() + std::chrono::hours(1);
}

// This process in a control group of its own, as long as it lives.
struct RealGroup {
    std::filesystem::path parent = "/sys/fs/cgroup/memory", folder = parent / ("lapidary_test_" + std::to_string(getpid()));
    bool entered = false;

    RealGroup() {
        std::error_code refused;
        std::filesystem::create_directory(folder, refused);
        entered = !refused && write(folder / "cgroup.procs", static_cast<uint64_t>(getpid()));
    }
    ~RealGroup() {
        std::error_code refused;
        if (entered) write(parent / "cgroup.procs", static_cast<uint64_t>(getpid()));
        std::filesystem::remove(folder, refused);
    }
    void put(const char* file, uint64_t number) const { REQUIRE(write(folder / file, number)); }
    uint64_t used() const {
        uint64_t bytes = 0;
        std::ifstream(folder / "memory.usage_in_bytes") >> bytes;
        return bytes;
    }
    static bool write(const std::filesystem::path& file, uint64_t number) {
        std::ofstream out(file);
        return (out << number << std::flush).good();
    }
};

}  // namespace

TEST_CASE("pressure: a step that needs more memory than is left is refused, and the session goes on once it is there") {
    Laptop laptop;
    const Engine engine = unwrap(Engine::open(laptop.options()));
    Session unbroken = unwrap(engine.new_session()), session = unwrap(engine.new_session());
    std::vector<std::vector<int32_t>> want;
    for (const int32_t count : {5, 0, 700}) {
        append(engine, unbroken, count);
        want.push_back(unwrap(reply_of(unbroken)));
    }
    state(session).engine->parts[0].workspace = {};  // as if that one had never been
    append(engine, session, 5);
    CHECK(unwrap(reply_of(session)) == want[0]);
    laptop.machine.put("proc/self/cgroup", "0::/user/app");
    laptop.machine.put("sys/fs/cgroup/user/app/memory.max", std::to_string(600 * kMiB));
    laptop.machine.put("sys/fs/cgroup/user/app/memory.current", std::to_string(599 * kMiB));
    CHECK(unwrap(reply_of(session)) == want[1]);  // nothing grows
    append(engine, session, 700);
    const auto computed = state(session).computed;
    for (int i = 0; i < 2; ++i) {
        const auto refused = reply_of(session);
        REQUIRE(!refused);
        CHECK(refused.error().code == Errc::does_not_fit);
        CHECK(refused.error().message.find("1.0 MiB of the limit of 0.59 GiB of /sys/fs/cgroup/user/app are left") != std::string::npos);
        CHECK(state(session).computed == computed);
        CHECK(!state(session).caches.empty());
    }
    laptop.machine.remove("sys/fs/cgroup");
    CHECK(unwrap(reply_of(session)) == want[2]);
}

TEST_CASE("pressure: step buffers go first, then what idle sessions have computed, and all say what they would have said") {
    Laptop laptop;
    const Engine engine = unwrap(Engine::open(laptop.options()));
    std::vector<int32_t> first, second;
    {
        Session unbroken = unwrap(engine.new_session());
        append(engine, unbroken, 40);
        first = unwrap(reply_of(unbroken));
        second = unwrap(reply_of(unbroken));
    }
    for (const bool waiting : {false, true}) {
        CAPTURE(waiting);
        laptop.notes.clear();
        Session idle = unwrap(engine.new_session()), young = unwrap(engine.new_session()), busy = unwrap(engine.new_session());
        for (Session* s : {&idle, &young, &busy}) {
            append(engine, *s, 40);
            CHECK(unwrap(reply_of(*s)) == first);
        }
        CHECK(state(busy).engine->parts[0].workspace.columns == 40);
        const uint64_t kept = state(idle).caches[0].bytes();
        if (waiting) laptop.machine.put("proc/pressure/memory", kWaiting);
        laptop.set_free(waiting ? kPlenty : kShort);
        let_look(busy, false);
        CHECK(unwrap(reply_of(busy)) == second);  // it has looked a moment ago
        CHECK(laptop.notes.empty());
        unwrap(busy.rewind(busy.position() - 3));
        for (Session* s : {&idle, &young}) state(*s).used = Time::now() - (s == &idle ? std::chrono::minutes(1) : std::chrono::minutes(0));
        let_look(busy);
        CHECK(unwrap(reply_of(busy)) == second);
        REQUIRE(laptop.notes.size() == 1);
        const std::string& note = laptop.notes[0];
        const size_t buffers = note.find("step buffers of long prompts ("), caches = note.find("keys and values of idle sessions (");
        CHECK(buffers != std::string::npos);
        CHECK(caches != std::string::npos);
        CHECK(buffers < caches);
        CHECK(note.find(runtime::gibibytes(kept)) != std::string::npos);
        CHECK(state(busy).engine->parts[0].workspace.columns == 1);
        CHECK(state(idle).caches.empty());
        CHECK(!state(young).caches.empty());
        const auto refused = engine.new_session();
        REQUIRE(!refused);
        CHECK(refused.error().code == Errc::does_not_fit);
        Session fork = unwrap(idle.fork());
        for (Session* s : {&idle, &young, &fork}) CHECK(unwrap(reply_of(*s)) == second);
        unwrap(idle.rewind(42));
        CHECK(laptop.notes.size() == 1);  // the shortage is still the same
        laptop.set_free(kPlenty);
        laptop.machine.remove("proc/pressure");
        let_look(busy);
        unwrap(reply_of(busy, 1));
        CHECK(engine.new_session().has_value());
        laptop.set_free(kShort);
        append(engine, busy, 60);
        unwrap(reply_of(busy));  // its buffers go behind the prompt
        let_look(busy);
        unwrap(reply_of(busy, 1));
        CHECK(laptop.notes.size() == 2);
        laptop.set_free(kPlenty);
        let_look(busy);
        unwrap(reply_of(busy, 1));
    }
}

TEST_CASE("pressure: a checkpoint goes before keys and values do, and without room for one the reply goes on") {
    Laptop laptop;
    const Engine engine = unwrap(Engine::open(laptop.options()));
    Session session = unwrap(engine.new_session());
    const Prompt prompt = unwrap(engine.tokens(std::vector<int32_t>(200, 400)));
    unwrap(session.replace(prompt));
    const auto said = unwrap(reply_of(session, 30));
    REQUIRE(state(session).checkpoint.taken());
    laptop.set_free(kShort);
    let_look(session);
    unwrap(reply_of(session, 1));
    REQUIRE(laptop.notes.size() == 1);
    CHECK(laptop.notes[0].find("checkpoints of conversations (") != std::string::npos);
    CHECK(!state(session).checkpoint.taken());
    CHECK(!state(session).caches.empty());

    laptop.set_free(kPlenty);
    CHECK(unwrap(session.replace(prompt)) == 200);
    CHECK(unwrap(reply_of(session, 4)) == std::vector<int32_t>(said.begin(), said.begin() + 4));
    laptop.set_free(300 << 10);  // for a step, not for a ring
    CHECK(unwrap(reply_of(session, 20)) == std::vector<int32_t>(said.begin() + 4, said.begin() + 24));
    CHECK(laptop.notes.back().find("no checkpoint at position 200") != std::string::npos);
    CHECK(!state(session).checkpoint.taken());
}

TEST_CASE("pressure: a cache that a fork shares is not given back by one of the two") {
    Laptop laptop;
    const Engine engine = unwrap(Engine::open(laptop.options()));
    Session session = unwrap(engine.new_session());
    append(engine, session, 40);
    unwrap(reply_of(session));
    model::KvCache& cache = state(session).caches[0];
    const uint64_t all = cache.bytes();
    CHECK(cache.growth(42, 44) == 0);
    Session fork = unwrap(session.fork());
    CHECK(cache.bytes() == all);  // the last segment was copied
    CHECK(state(session).engine->drop_caches(std::chrono::steady_clock::time_point::max()) == 2 * all);
}

TEST_CASE("pressure: caches may go in any turn, while their sessions compute, go back and fork in threads of their own") {
    Laptop laptop;
    const Engine engine = unwrap(Engine::open(laptop.options()));
    const auto talk = [&](Session& session) {
        append(engine, session, 40);
        auto said = unwrap(reply_of(session, 6));
        unwrap(session.rewind(42));
        Session fork = unwrap(session.fork());
        for (Session* s : {&session, &fork})
            for (const int32_t id : unwrap(reply_of(*s, 6))) said.push_back(id);
        return said;
    };
    std::vector<Session> sessions;
    for (int i = 0; i < 3; ++i) sessions.push_back(unwrap(engine.new_session()));
    const auto want = talk(sessions[0]);
    std::vector<std::future<std::vector<int32_t>>> threads;
    for (size_t i = 1; i < sessions.size(); ++i) threads.push_back(std::async(std::launch::async, [&, i] { return talk(sessions[i]); }));
    model::EngineState& e = *state(sessions[0]).engine;
    unwrap(sessions[0].rewind(0));
    state(sessions[0]).forget_caches();  // only what the threads have computed is there to go
    uint64_t gone = 0;
    const auto running = [](auto& thread) { return thread.wait_for(std::chrono::seconds(0)) != std::future_status::ready; };
    for (int i = 0; i < 100 && std::any_of(threads.begin(), threads.end(), running); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));  // else they never get further than what they had
        const model::Turn turn(e.turns, {});
        gone += e.drop_caches(Time::time_point::max());
    }
    for (auto& thread : threads) CHECK(thread.get() == want);
    CHECK(gone > 0);
}

// Needs the right to make a control group of version 1, as root has it.
TEST_CASE("pressure: a real control group, whose limit is lowered between two calls") {
    RealGroup group;
    if (!group.entered) {
        MESSAGE("not run: there is no control group of version 1 here that may be written");
        return;
    }
    EngineOptions o;
    o.model = kTiny;
    o.threads = 1;
    o.context = 4096;
    o.research.prefill_chunk = 2048;
    o.cache_folder = "none";
    group.put("memory.limit_in_bytes", 100 * kMiB);
    const auto small = Engine::open(o);
    REQUIRE(!small);
    CHECK(small.error().code == Errc::does_not_fit);
    group.put("memory.limit_in_bytes", 4096 * kMiB);
    const Engine engine = unwrap(Engine::open(o));
    CHECK(engine.plan().why.at(0).find(group.folder.string()) != std::string::npos);
    Session session = unwrap(engine.new_session());
    append(engine, session, 5);
    unwrap(reply_of(session));
    group.put("memory.limit_in_bytes", group.used() + 8 * kMiB);
    append(engine, session, 2000);
    const auto stopped = reply_of(session);
    REQUIRE(!stopped);
    CHECK(stopped.error().code == Errc::does_not_fit);
    CHECK(stopped.error().message.find(group.folder.string()) != std::string::npos);
    group.put("memory.limit_in_bytes", 4096 * kMiB);
    const auto went_on = unwrap(reply_of(session));
    Session unbroken = unwrap(engine.new_session());
    append(engine, unbroken, 5);
    unwrap(reply_of(unbroken));
    append(engine, unbroken, 2000);
    CHECK(unwrap(reply_of(unbroken)) == went_on);
}
