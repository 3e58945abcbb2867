// Engines and sessions on machines with too little memory, which are invented: what fits opens, what does not says so before
// weights are read, and sessions that are there go on.
#include <doctest/doctest.h>

#include <string>

#include "lapidary/tools.h"
#include "model/session_state.h"
#include "tests/support/invented_machine.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

void set_free(const InventedMachine& machine, uint64_t bytes) {
    machine.put("proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: " + std::to_string(bytes >> 10) + " kB\nSwapFree: 0 kB");
}

EngineOptions options_on(const InventedMachine& machine) {
    EngineOptions o;
    o.model = kTiny;
    o.threads = 1;
    o.context = 4096;
    o.cache_folder = "none";
    o.research.system_root = machine.root();
    return o;
}

Error error_of(const EngineOptions& options) {
    const auto engine = Engine::open(options);
    REQUIRE(!engine);
    return engine.error();
}

std::vector<int32_t> reply_of(Session& session) {
    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    greedy.max_tokens = 3;
    greedy.ignore_eos = true;
    return unwrap(session.generate(greedy)).tokens;
}

}  // namespace

TEST_CASE("placement: a model opens with exactly the memory of its plan and is refused with a byte less") {
    const InventedMachine machine;
    set_free(machine, 8192 * kMiB);
    EngineOptions o = options_on(machine);
    o.kv = KvFormat::f16;
    const Engine roomy = unwrap(Engine::open(o));
    const Plan plan = roomy.plan();
    CHECK(plan.fits);
    CHECK(plan.placement.kind == "cpu");
    CHECK(plan.budget_bytes == 8192 * kMiB - 16384 * kMiB / 20);  // a twentieth of the machine is left alone
    o.memory_bytes = plan.total_bytes;
    CHECK(unwrap(Engine::open(o)).plan().budget_bytes == plan.total_bytes);
    o.memory_bytes = plan.total_bytes - 1;
    const Error refused = error_of(o);
    CHECK(refused.code == Errc::does_not_fit);
    CHECK(refused.message.find("tiny needs ") == 0);
    CHECK(refused.message.find("step buffers") != std::string::npos);
    CHECK(refused.hint.find("--kv q8_0") != std::string::npos);
    // Sessions, contexts and formats count.
    o.memory_bytes = plan.total_bytes;
    o.sessions = 2;
    CHECK(error_of(o).hint.find("one session instead of 2") != std::string::npos);
    o.sessions = 1;
    o.precise = true;
    CHECK(error_of(o).code == Errc::does_not_fit);
}

TEST_CASE("placement: conversations have room for a checkpoint each, of the size that is taken") {
    const InventedMachine machine;
    set_free(machine, 8192 * kMiB);
    EngineOptions o = options_on(machine);
    const auto checkpoints = [&] {
        uint64_t bytes = 0;
        for (const PlanRegion& r : unwrap(Engine::open(o)).plan().regions)
            if (r.name == "checkpoints") bytes += r.bytes;
        return bytes;
    };
    CHECK(checkpoints() == 0);
    o.conversations = true;
    o.sessions = 3;
    const Engine engine = unwrap(Engine::open(o));
    const Session session = unwrap(engine.new_session());
    CHECK(checkpoints() == 3 * model::Access::state(session).caches[0].checkpoint_bytes());
}

TEST_CASE("placement: free memory and limits of control groups bound what may be used") {
    const InventedMachine machine;
    set_free(machine, 900 * kMiB);  // 819 MiB of the 16 GiB are left alone
    EngineOptions o = options_on(machine);
    CHECK(unwrap(Engine::open(o)).plan().fits);
    set_free(machine, 850 * kMiB);
    CHECK(error_of(o).hint.find("closing other programs") != std::string::npos);
    set_free(machine, 8192 * kMiB);
    machine.put("proc/self/cgroup", "0::/user/app");
    machine.put("sys/fs/cgroup/user/app/memory.max", "max");
    machine.put("sys/fs/cgroup/user/memory.max", std::to_string(280 * kMiB));
    machine.put("sys/fs/cgroup/user/memory.current", std::to_string(10 * kMiB));
    const Error limited = error_of(o);
    CHECK(limited.code == Errc::does_not_fit);
    machine.put("sys/fs/cgroup/user/memory.max", std::to_string(600 * kMiB));
    const Engine engine = unwrap(Engine::open(o));
    CHECK(engine.plan().why.at(0).find("sys/fs/cgroup/user") != std::string::npos);
}

TEST_CASE("placement: a cache becomes q8_0 where only that fits, and says so") {
    const InventedMachine machine;
    set_free(machine, 8192 * kMiB);
    EngineOptions o = options_on(machine);
    const Engine roomy = unwrap(Engine::open(o));
    CHECK(roomy.info().kv == KvFormat::f16);
    CHECK(roomy.info().notes.empty());
    o.memory_bytes = roomy.plan().total_bytes - 1;
    const Engine tight = unwrap(Engine::open(o));
    CHECK(tight.info().kv == KvFormat::q8_0);
    CHECK(tight.plan().kv == "q8_0");
    CHECK(tight.info().kv_bytes_per_session < roomy.info().kv_bytes_per_session);
    REQUIRE(!tight.info().notes.empty());
    CHECK(tight.info().notes.back().find("q8_0") != std::string::npos);
    Session session = unwrap(tight.new_session());
    constexpr int32_t kIds[] = {2, 105, 9, 77};
    unwrap(session.append(unwrap(tight.tokens(kIds))));
    CHECK(reply_of(session).size() == 3);
    // Heads of 16 are no blocks of q8_0: that is neither taken nor advised.
    EngineOptions odd = o;
    odd.model = kData / "goldens/five_layers";
    odd.context = 256;
    odd.memory_bytes.reset();
    odd.memory_bytes = unwrap(Engine::open(odd)).plan().total_bytes - 1;
    const Error refused = error_of(odd);
    CHECK(refused.code == Errc::does_not_fit);
    CHECK(refused.hint.find("q8_0") == std::string::npos);
}

TEST_CASE("placement: a session more is refused when memory is short, and those that are there go on") {
    const InventedMachine machine;
    set_free(machine, 8192 * kMiB);
    const Engine engine = unwrap(Engine::open(options_on(machine)));
    Session first = unwrap(engine.new_session());
    constexpr int32_t kIds[] = {2, 105, 9, 77, 31};
    unwrap(first.append(unwrap(engine.tokens(kIds))));
    const auto before = reply_of(first);
    set_free(machine, 1 * kMiB);
    const auto refused = engine.new_session();
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::does_not_fit);
    CHECK(refused.error().message.find("a session needs ") == 0);
    unwrap(first.rewind(5));
    CHECK(reply_of(first) == before);
    set_free(machine, 8192 * kMiB);
    CHECK(engine.new_session().has_value());
    machine.put("proc/pressure/memory", "some avg10=40.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=25.00 avg60=1.00 avg300=0.00 total=1");
    const auto waits = engine.new_session();
    REQUIRE(!waits);
    CHECK(waits.error().message.find("25 % of the last ten seconds") != std::string::npos);
    machine.put("proc/pressure/memory", "some avg10=40.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=5.00 avg60=1.00 avg300=0.00 total=1");
    CHECK(engine.new_session().has_value());
}
