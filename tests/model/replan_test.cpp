// A laptop that is unplugged: the plan of an open engine tells of the speeds of the new state.
#include <doctest/doctest.h>

#include "lapidary/tools.h"
#include "model/rates.h"
#include "model/session_state.h"
#include "tests/support/invented_machine.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

TEST_CASE("replan: a prompt in another state of power renews the plan's numbers, a token does not") {
    const InventedMachine machine;
    const ScratchFolder folder;
    const auto unplug = [&](bool yes) { machine.put("sys/class/power_supply/BAT0/status", yes ? "Discharging" : "Charging"); };
    machine.put("sys/class/power_supply/BAT0/type", "Battery");
    EngineOptions o;
    o.model = kTiny;
    o.threads = 1;
    o.context = 512;
    o.placement = Placement::cpu;
    o.cache_folder = folder.path();
    o.research.system_root = machine.root();
    for (const bool battery : {false, true}) {
        unplug(battery);
        const model::RatesPlace place = unwrap(model::rates_place(o));
        const double r = battery ? 10 : 40;
        unwrap(runtime::write_rates(place.file, place.key, {{r, r, r, r, r, r}, std::nullopt, 0, 0, "2026-01-02T03:04:05Z"}));
    }
    unplug(false);
    const Engine engine = unwrap(Engine::open(o));
    const Plan before = engine.plan();
    REQUIRE(before.placement.decode_tps > 0);
    CHECK(before.fits);
    Session session = unwrap(engine.new_session());
    const auto compute = [&](std::vector<int32_t> ids) {
        unwrap(session.append(unwrap(engine.tokens(ids))));
        unwrap(session.forward({}, {}));
    };
    compute({2, 105, 9});
    unplug(true);
    compute({7});
    CHECK(engine.plan().placement.decode_tps == before.placement.decode_tps);
    compute({7, 8});
    const Plan after = engine.plan();
    CHECK(after.placement.decode_tps == doctest::Approx(before.placement.decode_tps / 4));
    CHECK(after.why.back().find("battery") != std::string::npos);
    CHECK(after.total_bytes == before.total_bytes);
    CHECK(after.budget_bytes == before.budget_bytes);
    CHECK(after.fits);
    unplug(false);
    compute({7, 8});
    CHECK(engine.plan().placement.decode_tps == before.placement.decode_tps);
    machine.put("sys/firmware/acpi/platform_profile", "quiet");  // nothing was measured then: another state has to do, and is named
    compute({7, 8});
    CHECK(engine.plan().why.back().find("another state of power") != std::string::npos);
}

TEST_CASE("replan: where the planned GPU is not to be had, the plan names the CPU") {
    EngineOptions o;
    o.model = kTiny;
    o.threads = 1;
    o.context = 512;
    o.cache_folder = "none";
    const Engine engine = unwrap(Engine::open(o));
    Session session = unwrap(engine.new_session());
    model::EngineState& e = *model::Access::state(session).engine;
    e.machine.gpu = runtime::PlanGpu{.name = "a GPU", .heap_bytes = uint64_t{8} << 30, .rates = {}};
    e.placement = {runtime::PlacementKind::gpu, engine.info().layers, 1};
    e.publish(unwrap(e.plan_again(true)));
    REQUIRE(engine.plan().placement.kind == "gpu");
    unwrap(e.set_up(cpu_part, true, {}));
    CHECK(engine.plan().placement.kind == "cpu");
    CHECK(engine.plan().layers.at(0).gpu == false);
}
