#include "runtime/plan/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/plan/machines.h"
#include "tests/support/plan_models.h"

using namespace lapidary::runtime;

namespace {

const std::vector<PlacementKind> kAll = {PlacementKind::cpu, PlacementKind::gpu, PlacementKind::layers, PlacementKind::rows,
                                         PlacementKind::phases};

double request(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& p, KvFormat kv, const Wishes& w) {
    return prefill_seconds(model, machine, p, kv, w.prompt) +
           w.reply * decode_seconds(model, machine, p, kv, w.prompt + w.reply / 2);
}

// Steps of a prompt take one share and those of a reply the other, so that the best of either is found by itself.
template <class Look>
void look_at_shares(const Look& look, const MachineFacts& machine, int32_t layers) {
    PlannedPlacement best{PlacementKind::rows, layers, 0.5, 0.5};
    const bool unified = machine.gpu && machine.gpu->unified;
    const auto each = [&](const auto& with) {
        double shortest = 0;
        const PlannedPlacement start = best;
        for (int i = 0; i <= 1024; ++i) {
            const PlannedPlacement p = with(start, i / 1024.0);
            const double seconds = look(p);
            if (seconds > 0 && (shortest == 0 || seconds < shortest)) shortest = seconds, best = p;
        }
    };
    for (int i = 0; i <= 1024; ++i) look({PlacementKind::rows, layers, i / 1024.0});
    if (unified) each([](PlannedPlacement p, double share) { return p.gpu_share = share, p; });
    if (unified) each([](PlannedPlacement p, double share) { return p.few_share = share, p; });
}

// The shortest time of all placements of the allowed kinds that fit, looked for one by one; 0: none fits.
double shortest(const ModelFacts& model, const MachineFacts& machine, KvFormat kv, const Wishes& w) {
    const auto layers = static_cast<int32_t>(model.layers.size());
    double best = 0;
    const auto look = [&](const PlannedPlacement& p) {
        if (p.kind != PlacementKind::cpu && !machine.gpu) return 0.0;
        if (p.kind == PlacementKind::phases && !machine.gpu->unified) return 0.0;
        if (!fits(footprint(model, machine, p, kv, w), machine, w)) return 0.0;
        const double seconds = request(model, machine, p, kv, w);
        if (best == 0 || seconds < best) best = seconds;
        return seconds;
    };
    for (const PlacementKind kind : w.kinds) {
        if (kind == PlacementKind::layers)
            for (int32_t n = 1; n < layers; ++n) look({kind, n, 0});
        else if (kind == PlacementKind::rows)
            look_at_shares(look, machine, layers);
        else
            look({kind, kind == PlacementKind::cpu ? 0 : layers, kind == PlacementKind::cpu ? 0.0 : 1.0});
    }
    return best;
}

// That a plan is the best of all. It may be a little better, as its shares of rows are exact.
void check_best(const ModelFacts& model, const MachineFacts& machine, const Wishes& w) {
    CAPTURE(machine.name);
    CAPTURE(w.context);
    const Plan plan = make_plan(model, machine, w);
    const double f16 = shortest(model, machine, KvFormat::f16, w), q8 = shortest(model, machine, KvFormat::q8_0, w);
    CHECK(plan.fits == (f16 > 0 || q8 > 0));
    CHECK(plan.kv == (f16 == 0 && q8 > 0 ? KvFormat::q8_0 : KvFormat::f16));
    if (!plan.fits) return;
    const double best = f16 > 0 ? f16 : q8, found = request(model, machine, plan.placement, plan.kv, w);
    CHECK(fits(footprint(model, machine, plan.placement, plan.kv, w), machine, w));
    CHECK(found <= best * (1 + 1e-9));
    CHECK(found >= best * 0.97);
}

bool says(const Plan& plan, const std::string& what) {
    return std::any_of(plan.why.begin(), plan.why.end(), [&](const std::string& s) { return s.find(what) != std::string::npos; });
}

Wishes wishes_for(std::vector<PlacementKind> kinds, int32_t context = 8192) {
    Wishes w;
    w.kinds = std::move(kinds);
    w.context = context;
    return w;
}

}  // namespace

TEST_CASE("plan: the shortest request on every modelled machine, found by looking at all placements") {
    const ModelFacts model = model_12b();
    constexpr struct { int32_t context, prompt, reply; } kCases[] = {{8192, 512, 128}, {32768, 3001, 300}, {131072, 8193, 100}};
    for (const MachineModel& m : modelled_machines())
        for (const auto& c : kCases) {
            Wishes w = wishes_for(kAll, c.context);
            w.prompt = c.prompt;
            w.reply = c.reply;
            check_best(model, m.facts, w);
            w.kinds = {PlacementKind::rows};
            check_best(model, m.facts, w);
        }
}

TEST_CASE("plan: the shortest request on machines made up at random") {
    const ModelFacts model = model_12b();
    uint64_t state = 7;
    const auto any = [&](double from, double to) {
        state = state * 6364136223846793005 + 1442695040888963407;
        return from + (to - from) * static_cast<double>(state >> 40) / (1 << 24);
    };
    for (int i = 0; i < 60; ++i) {
        MachineFacts m = unified_machine();
        m.name = "random " + std::to_string(i);
        m.usable_bytes = static_cast<uint64_t>(any(5, 16) * 1e9);
        m.gpu->heap_bytes = static_cast<uint64_t>(any(1, 12) * 1e9);
        m.gpu->unified = any(0, 1) < 0.5;
        for (Rates* r : {&m.cpu, &m.gpu->rates}) {
            r->read_gbps = any(10, 100);
            r->read_gbps_together = r->read_gbps * any(0.4, 1);
            r->few_gmacs = any(20, 600);
            r->many_gmacs = any(100, 3000);
            r->many_gmacs_together = r->many_gmacs * any(0.5, 1);
            r->attention_gmacs = any(20, 400);
            r->token_f16_gmacs = any(5, 200);
            r->token_q8_gmacs = any(5, 200);
        }
        Wishes w = wishes_for(i % 3 == 0 ? std::vector{PlacementKind::rows} : kAll, static_cast<int32_t>(any(100, 100'000)));
        w.prompt = static_cast<int32_t>(any(1, 1300));
        w.reply = static_cast<int32_t>(any(0, 400));
        w.sessions = i % 4 == 1 ? 2 : 1;
        check_best(model, m, w);
    }
}

// A CPU so slow at 8 columns that the share which suits the last step of 520 tokens is the best of all.
TEST_CASE("plan: the short last step of a prompt has a share of its own") {
    MachineFacts machine = unified_machine();
    machine.cpu.few_gmacs = 5;
    machine.gpu->rates.read_gbps = machine.gpu->rates.read_gbps_together = 10;
    machine.gpu->rates.many_gmacs_together = machine.gpu->rates.many_gmacs;  // else it is faster alone
    Wishes w = wishes_for({PlacementKind::rows});
    w.prompt = 520;
    w.reply = 0;
    check_best(model_12b(), machine, w);
    const PlannedPlacement two = make_plan(model_12b(), machine, w).placement;
    CHECK(two.gpu_share == *balanced_share(model_12b(), machine, 512));
    CHECK(two.few_share == *balanced_share(model_12b(), machine, 8));
    machine.gpu->unified = false;
    check_best(model_12b(), machine, w);
    const double share = make_plan(model_12b(), machine, w).placement.gpu_share;
    CHECK(!make_plan(model_12b(), machine, w).placement.few_share);
    CHECK(share == *balanced_share(model_12b(), machine, 8));
    CHECK(share > *balanced_share(model_12b(), machine, 512));
    CHECK(share > *balanced_share(model_12b(), machine, 1));
}

TEST_CASE("plan: kinds that are allowed, and no others") {
    const ModelFacts model = model_12b();
    for (const MachineModel& m : modelled_machines()) {
        CAPTURE(m.name);
        double best = 0;
        for (const PlacementKind kind : kAll) {
            const Plan plan = make_plan(model, m.facts, wishes_for({kind}));
            const bool able = kind == PlacementKind::cpu ||
                              (m.facts.gpu && (kind != PlacementKind::phases || m.facts.gpu->unified));
            CHECK(plan.options.size() == (able ? 1 : 0));
            if (able) CHECK(plan.placement.kind == kind);
            else CHECK(!plan.fits);
            if (!m.facts.gpu && kind != PlacementKind::cpu) CHECK(says(plan, "no GPU"));
            if (!plan.fits) continue;
            CHECK(plan.options[0].seconds == doctest::Approx(request(model, m.facts, plan.placement, plan.kv, wishes_for({kind}))));
            if (best == 0 || plan.options[0].seconds < best) best = plan.options[0].seconds;
        }
        const Plan plan = make_plan(model, m.facts, wishes_for(kAll));
        CHECK(plan.fits == (best > 0));
        if (!plan.fits) continue;
        const auto chosen = std::find_if(plan.options.begin(), plan.options.end(),
                                         [&](const Plan::Option& o) { return o.placement.kind == plan.placement.kind; });
        REQUIRE(chosen != plan.options.end());
        CHECK(chosen->seconds == best);
        CHECK(chosen->expected.prefill == plan.expected.prefill);
        CHECK(chosen->expected.decode == plan.expected.decode);
    }
    CHECK(make_plan(model, *modelled_machine("uhd-8g"), wishes_for(kAll)).fits == false);
    const Plan card = make_plan(model, discrete_machine(), wishes_for({PlacementKind::phases}));
    CHECK(!card.fits);
    CHECK(says(card, "phases need one memory for both devices, and GPU has its own"));
}

TEST_CASE("plan: layers and shares as they were wished for") {
    const ModelFacts model = model_12b();
    const MachineFacts machine = unified_machine();
    for (const int32_t n : {1, 20, 47}) {
        Wishes w = wishes_for({PlacementKind::layers});
        w.gpu_layers = n;
        const Plan plan = make_plan(model, machine, w);
        CHECK(plan.placement.kind == PlacementKind::layers);
        CHECK(plan.placement.gpu_layers == n);
    }
    const auto kind = [&](int32_t n) {
        Wishes w = wishes_for({PlacementKind::layers});
        w.gpu_layers = n;
        return make_plan(model, machine, w).placement.kind;
    };
    CHECK(kind(0) == PlacementKind::cpu);
    CHECK(kind(48) == PlacementKind::gpu);
    CHECK(kind(99) == PlacementKind::gpu);
    for (const double share : {0.0, 0.3, 1.0}) {
        Wishes w = wishes_for({PlacementKind::rows});
        w.gpu_share = share;
        const Plan plan = make_plan(model, machine, w);
        CHECK(plan.placement.kind == PlacementKind::rows);
        CHECK(plan.placement.gpu_share == share);
    }
    ModelFacts one = model;  // has no split
    one.layers.resize(1);
    CHECK(make_plan(one, machine, wishes_for({PlacementKind::layers})).options.empty());
}

TEST_CASE("plan: memory to the byte") {
    const ModelFacts model = model_12b();
    for (const MachineFacts& machine : {unified_machine(), discrete_machine()})
        for (const PlacementKind kind : {PlacementKind::cpu, PlacementKind::gpu}) {
            Wishes w = wishes_for({kind});
            w.kv = KvFormat::f16;
            const Plan plan = make_plan(model, machine, w);
            REQUIRE(plan.fits);
            const uint64_t wanted = plan.total_bytes;
            // As --memory, and as memory that is free beside a floor of 5 %, 256 MiB to 1 GiB.
            w.memory_bytes = wanted;
            CHECK(make_plan(model, machine, w).fits);
            CHECK(make_plan(model, machine, w).budget_bytes == wanted);
            w.memory_bytes = wanted - 1;
            CHECK(!make_plan(model, machine, w).fits);
            w.memory_bytes = {};
            MachineFacts tight = machine;
            const uint64_t floor = std::min(machine.total_bytes / 20, kTestGiB);
            tight.usable_bytes = wanted + floor;
            CHECK(make_plan(model, tight, w).fits);
            CHECK(make_plan(model, tight, w).budget_bytes == wanted);
            tight.usable_bytes = wanted + floor - 1;
            CHECK(!make_plan(model, tight, w).fits);
            tight.usable_bytes = floor - 1;
            CHECK(make_plan(model, tight, w).budget_bytes == 0);
            if (kind == PlacementKind::cpu) continue;
            tight = machine;
            tight.gpu->heap_bytes = plan.gpu_bytes;
            CHECK(make_plan(model, tight, w).fits);
            tight.gpu->heap_bytes = plan.gpu_bytes - 1;
            CHECK(!make_plan(model, tight, w).fits);
            CHECK(says(make_plan(model, tight, w), "are the GPU's"));
        }
}

TEST_CASE("plan: a GPU that cannot have all has what fits") {
    const ModelFacts model = model_12b();
    for (const bool unified : {true, false}) {
        MachineFacts machine = unified ? unified_machine() : discrete_machine(32);
        machine.gpu->heap_bytes = 5 * kTestGiB;
        Wishes w = wishes_for({PlacementKind::cpu, PlacementKind::gpu, PlacementKind::layers});
        const Plan plan = make_plan(model, machine, w);
        CHECK(plan.fits);
        CHECK(plan.placement.kind == PlacementKind::layers);
        CHECK(plan.gpu_bytes <= machine.gpu->heap_bytes);
        PlannedPlacement more = plan.placement;
        ++more.gpu_layers;
        CHECK(footprint(model, machine, more, plan.kv, w).gpu_bytes > machine.gpu->heap_bytes);
        CHECK(says(plan, "all on the GPU, which does not fit"));
        // Of rows it has its heap to the last byte or two, where the share is not exact.
        w.kinds = {PlacementKind::rows};
        const Plan rows = make_plan(model, machine, w);
        CHECK(rows.fits);
        CHECK(rows.gpu_bytes + 2 >= machine.gpu->heap_bytes);
        CHECK(rows.gpu_bytes <= machine.gpu->heap_bytes);
        uint64_t sum = 0;
        for (const Region& r : plan.regions) sum += unified || r.where == Where::cpu ? r.bytes : 0;
        CHECK(plan.total_bytes == sum);
    }
    // A card with room for half of it makes it fit where the machine's memory alone does not do.
    MachineFacts small = discrete_machine(16);
    small.usable_bytes = 5 * kTestGiB;
    small.gpu->heap_bytes = 5 * kTestGiB;
    CHECK(!make_plan(model, small, wishes_for({PlacementKind::cpu})).fits);
    CHECK(!make_plan(model, small, wishes_for({PlacementKind::gpu})).fits);
    CHECK(make_plan(model, small, wishes_for({PlacementKind::layers})).fits);
    CHECK(make_plan(model, small, wishes_for({PlacementKind::rows})).fits);
    // A slow one takes no more than the machine's memory lacks, to the byte or two.
    small.gpu->rates = {1, 1, 1, 1, 1, 1};
    const Plan rest = make_plan(model, small, wishes_for({PlacementKind::rows}));
    CHECK(rest.fits);
    CHECK(rest.total_bytes <= rest.budget_bytes);
    CHECK(rest.total_bytes + 2 >= rest.budget_bytes);
    small.gpu->unified = true;
    CHECK(!make_plan(model, small, wishes_for(kAll)).fits);
}

TEST_CASE("plan: the cache's format") {
    const ModelFacts model = model_12b();
    MachineFacts machine = unified_machine();
    Wishes w = wishes_for({PlacementKind::cpu}, 131072);
    w.sessions = 2;
    const PlannedPlacement cpu{};
    const uint64_t f16 = footprint(model, machine, cpu, KvFormat::f16, w).host_bytes;
    const uint64_t q8 = footprint(model, machine, cpu, KvFormat::q8_0, w).host_bytes;
    REQUIRE(q8 < f16);
    w.memory_bytes = f16;
    CHECK(make_plan(model, machine, w).kv == KvFormat::f16);
    CHECK(!says(make_plan(model, machine, w), "q8_0"));
    w.memory_bytes = f16 - 1;
    CHECK(make_plan(model, machine, w).kv == KvFormat::q8_0);
    CHECK(make_plan(model, machine, w).fits);
    CHECK(says(make_plan(model, machine, w), "keys and values in q8_0"));
    w.memory_bytes = q8 - 1;
    CHECK(!make_plan(model, machine, w).fits);
    CHECK(make_plan(model, machine, w).kv == KvFormat::f16);
    for (const KvFormat kv : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0})
        for (const uint64_t memory : {q8, f16, 4 * f16}) {
            w.kv = kv;
            w.memory_bytes = memory;
            const Plan plan = make_plan(model, machine, w);
            CHECK(plan.kv == kv);
            CHECK(plan.fits == (footprint(model, machine, cpu, kv, w).host_bytes <= memory));
            CHECK(!says(plan, "keys and values in q8_0"));
        }
}

TEST_CASE("plan: rates that nobody measured") {
    const ModelFacts model = model_12b();
    MachineFacts machine = unified_machine();
    machine.cpu = {};
    machine.gpu->rates = {};
    Wishes w = wishes_for(kAll);
    std::reverse(w.kinds.begin(), w.kinds.end());  // the CPU last
    Plan plan = make_plan(model, machine, w);
    CHECK(plan.fits);
    CHECK(plan.placement.kind == PlacementKind::cpu);
    CHECK(plan.expected.prefill == 0);
    CHECK(plan.expected.decode == 0);
    for (const Plan::Option& o : plan.options) CHECK(o.seconds == 0);
    CHECK(says(plan, "all on the CPU: not measured"));
    w.kinds = {PlacementKind::gpu, PlacementKind::rows};
    CHECK(make_plan(model, machine, w).placement.kind == PlacementKind::gpu);
    w.kinds = {PlacementKind::rows};
    machine.gpu->heap_bytes = 4 * kTestGiB;
    CHECK(make_plan(model, machine, w).fits);
    // What is known is preferred to what is not.
    w.kinds = {PlacementKind::gpu, PlacementKind::cpu};
    machine = unified_machine();
    machine.gpu->rates = {};
    plan = make_plan(model, machine, w);
    CHECK(plan.placement.kind == PlacementKind::cpu);
    CHECK(plan.expected.decode > 0);
    machine = unified_machine();
    machine.cpu = {};
    plan = make_plan(model, machine, w);
    CHECK(plan.placement.kind == PlacementKind::gpu);
    CHECK(plan.expected.decode > 0);
}

TEST_CASE("plan: more memory makes no plan slower") {
    const ModelFacts model = model_12b();
    for (const MachineModel& m : modelled_machines())
        for (const KvFormat kv : {KvFormat::f16, KvFormat::q8_0}) {
            Wishes w = wishes_for(kAll, 32768);
            w.kv = kv;
            MachineFacts machine = m.facts;
            double before = 0;
            for (uint64_t memory = 6 * kTestGiB; memory < 20 * kTestGiB; memory += kTestGiB / 3) {
                machine.usable_bytes = machine.total_bytes = memory;
                if (machine.gpu && machine.gpu->unified) machine.gpu->heap_bytes = memory / 2;
                const Plan plan = make_plan(model, machine, w);
                CAPTURE(m.name);
                CAPTURE(memory);
                CHECK((plan.fits || before == 0));
                if (!plan.fits) continue;
                const double now = request(model, machine, plan.placement, plan.kv, w);
                CHECK((before == 0 || now <= before * (1 + 1e-12)));
                before = now;
            }
            CHECK(before > 0);
        }
}

TEST_CASE("plan: requests of no prompt or no reply") {
    const ModelFacts model = model_12b();
    Wishes w = wishes_for(kAll);
    w.reply = 0;
    check_best(model, unified_machine(), w);
    w.prompt = 0;
    w.reply = 100;
    check_best(model, unified_machine(), w);
}

TEST_CASE("plan: words") {
    CHECK(describe({PlacementKind::layers, 30, 0}, 48) == "layers 0-17 on the CPU, 18-47 on the GPU");
    CHECK(describe({PlacementKind::rows, 48, 0.625}, 48) == "62 % of the rows on the GPU, the others on the CPU");
    CHECK(std::string(name(PlacementKind::phases)) == "phases");
    CHECK(std::string(name(Where::shared)) == "shared");
}
