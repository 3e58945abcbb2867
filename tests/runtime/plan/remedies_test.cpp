// The remedies of plans that do not fit: each is applied, as its words say.
#include "runtime/plan/remedies.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "runtime/plan/machines.h"
#include "tests/support/plan_models.h"

using namespace lapidary::runtime;

namespace {

struct Case {
    ModelFacts model;
    MachineFacts machine;
    Wishes wishes;
};

// The number behind a word, or nothing.
std::optional<int32_t> number_behind(const std::string& text, const std::string& word) {
    const size_t at = text.find(word + " ");
    if (at == std::string::npos) return std::nullopt;
    return std::atoi(text.c_str() + at + word.size());
}

// What the remedy says, done. `placement` is where its saving is counted.
Case apply(Case c, const Remedy& remedy, PlannedPlacement& placement) {
    bool known = false;
    const auto holds = [&](const char* word) {
        const bool found = remedy.text.find(word) != std::string::npos;
        known = known || found;
        return found;
    };
    if (holds("--kv q8_0")) c.wishes.kv = KvFormat::q8_0;
    if (holds("--ctx")) c.wishes.context = *number_behind(remedy.text, "--ctx");
    if (holds("one session")) c.wishes.sessions = 1;
    if (holds("--type q4_0")) {
        const uint64_t embedding = c.model.embedding_bytes;
        c.model = model_12b(4.5);
        c.model.embedding_bytes = std::min(embedding, static_cast<uint64_t>(c.model.head_macs * 6.5625 / 8));  // q6_k
    }
    if (holds("--memory")) *c.wishes.memory_bytes += remedy.saves;
    if (holds("closing other programs")) c.machine.usable_bytes += remedy.saves;
    if (holds("--placement cpu")) c.wishes.kinds = {PlacementKind::cpu}, placement = {};
    if (holds("--gpu-layers")) {
        c.wishes.kinds = {PlacementKind::layers};
        c.wishes.gpu_layers = number_behind(remedy.text, "--gpu-layers");
        placement = {PlacementKind::layers, *c.wishes.gpu_layers, 0};
    }
    CHECK_MESSAGE(known, remedy.text);
    return c;
}

bool has(const Plan& plan, const std::string& what, bool enough) {
    for (const Remedy& r : plan.remedies)
        if (r.text.find(what) != std::string::npos) return r.enough == enough;
    return false;
}

void check_remedies(const Case& c, int& unfit, int& enough) {
    const Plan plan = make_plan(c.model, c.machine, c.wishes);
    if (plan.fits) {
        CHECK(plan.remedies.empty());
        return;
    }
    ++unfit;
    CHECK(plan.remedies.size() <= 3);
    bool last = true;
    for (const Remedy& r : plan.remedies) {
        CAPTURE(c.machine.name);
        CAPTURE(r.text);
        CHECK((last || !r.enough));  // those that are enough stand first
        last = r.enough;
        CHECK(r.saves > 0);
        PlannedPlacement at = plan.placement;
        const Case then = apply(c, r, at);
        const Plan after = make_plan(then.model, then.machine, then.wishes);
        // More than there is would be swapped.
        const uint64_t floor = std::clamp(c.machine.total_bytes / 20, kTestGiB / 4, kTestGiB);
        const bool swaps = then.machine.usable_bytes > c.machine.total_bytes ||
                           (r.text.find("--memory") != std::string::npos &&
                            *then.wishes.memory_bytes + floor > c.machine.usable_bytes);
        CHECK((after.fits && !swaps) == r.enough);
        enough += r.enough;
        if (r.text.starts_with("closing") || r.text.starts_with("a larger")) continue;  // is no saving
        const Footprint f = footprint(then.model, then.machine, at, then.wishes.kv.value_or(plan.kv), then.wishes);
        const bool host = plan.total_bytes > plan.budget_bytes;
        CHECK(r.saves == (host ? plan.total_bytes - f.host_bytes : plan.gpu_bytes - f.gpu_bytes));
    }
}

}  // namespace

TEST_CASE("plan remedies: what is called enough is, and savings are true") {
    const std::vector<PlacementKind> all = {PlacementKind::cpu, PlacementKind::gpu, PlacementKind::layers, PlacementKind::rows,
                                            PlacementKind::phases};
    const std::vector<std::vector<PlacementKind>> kinds = {all, {PlacementKind::cpu}, {PlacementKind::gpu}, {PlacementKind::rows}};
    int unfit = 0, enough = 0;
    for (const MachineModel& m : modelled_machines())
        for (const double bits : {4.5, 8.5})
            for (const auto& k : kinds)
                for (const int32_t context : {2048, 32768, 262144})
                    for (const int32_t sessions : {1, 4})
                        for (const int variant : {0, 1, 2, 3}) {
                            Case c{model_12b(bits), m.facts, {}};
                            c.wishes.kinds = k;
                            c.wishes.context = context;
                            c.wishes.sessions = sessions;
                            if (variant == 1) c.wishes.kv = KvFormat::f16;
                            if (variant == 2) c.wishes.memory_bytes = 8'000'000'000;
                            if (variant == 3) c.machine.usable_bytes = c.machine.total_bytes / 40;
                            if (k[0] != PlacementKind::cpu && !m.facts.gpu) continue;
                            check_remedies(c, unfit, enough);
                        }
    CHECK(unfit > 100);
    CHECK(enough > 100);
}

TEST_CASE("plan remedies: each in its place") {
    Case c{model_12b(), unified_machine(16), {}};
    c.wishes.context = 131072;
    c.wishes.kv = KvFormat::f16;
    const uint64_t wanted = footprint(c.model, c.machine, {}, KvFormat::f16, c.wishes).host_bytes;
    const uint64_t floor = c.machine.total_bytes / 20;
    c.machine.usable_bytes = wanted + floor - 200'000'000;
    const Plan plan = make_plan(c.model, c.machine, c.wishes);
    CHECK(has(plan, "--kv q8_0", true));
    CHECK(has(plan, "--ctx 65536", true));
    CHECK(has(plan, "closing other programs", true));
    c.wishes.memory_bytes = wanted - 400'000'000;
    CHECK(has(make_plan(c.model, c.machine, c.wishes), "a larger --memory", false));  // it is not there
    c.machine.usable_bytes = wanted + floor;
    CHECK(has(make_plan(c.model, c.machine, c.wishes), "a larger --memory", true));

    c = {model_12b(8.5), unified_machine(16), {}};  // 12.7 GB
    CHECK(has(make_plan(c.model, c.machine, c.wishes), "pack --type q4_0", true));

    c = {model_12b(), unified_machine(64), {}};
    c.wishes.sessions = 200;
    CHECK(has(make_plan(c.model, c.machine, c.wishes), "one session instead of 200", true));

    // Where the GPU's memory alone is short, what lies there counts, on a card as on one memory.
    for (MachineFacts machine : {unified_machine(32), discrete_machine(32)}) {
        machine.gpu->heap_bytes = 6 * kTestGiB;
        c = {model_12b(), machine, {}};
        c.wishes.kinds = {PlacementKind::gpu};
        CHECK(!make_plan(c.model, c.machine, c.wishes).fits);
        CHECK(has(make_plan(c.model, c.machine, c.wishes), "--gpu-layers", true));
        c.machine.gpu->heap_bytes = kTestGiB / 2;
        CHECK(has(make_plan(c.model, c.machine, c.wishes), "--placement cpu", true));
    }
}
