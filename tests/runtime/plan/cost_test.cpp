#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "runtime/plan/machines.h"
#include "runtime/plan/plan.h"
#include "tests/support/plan_models.h"

using namespace lapidary::runtime;

namespace {

doctest::Approx close(double v) { return doctest::Approx(v).epsilon(1e-9); }

// Two layers, one of each kind, in numbers for paper.
ModelFacts toy() {
    ModelFacts m;
    LayerFacts ring, full;
    ring.weight_bytes = 2'000'000'000;
    ring.macs = 4e9;
    ring.ring = true;
    ring.position_bytes = {4'000'000, 2'000'000, 1'000'000};
    ring.key_macs = 8e6;
    full.weight_bytes = 3'000'000'000;
    full.macs = 6e9;
    full.position_bytes = {400'000, 200'000, 100'000};
    full.key_macs = 1e6;
    m.layers = {ring, full};
    m.embedding_bytes = 1'000'000'000;
    m.table_bytes = 1'000'000'000;
    m.head_macs = 2e9;
    m.window = 100;
    m.ring_rows = 116;
    m.segment_rows = 8;
    m.chunk = 64;
    m.column_bytes = 1000;
    m.step_bytes = 5000;
    m.gpu_step_bytes = 17;
    m.program_bytes = 7;
    m.media_bytes = 11;
    return m;
}

MachineFacts toy_machine() {
    MachineFacts m;
    m.total_bytes = m.usable_bytes = 16 * kTestGiB;
    m.cpu = {20, 10, 100, 400, 200, 50};  // read, together, few, many, together, attention
    m.gpu = PlanGpu{};
    m.gpu->heap_bytes = 8 * kTestGiB;
    m.gpu->driver_bytes = 13;
    m.gpu->rates = {40, 30, 200, 1000, 800, 100};
    m.handover_s = 0.001;
    return m;
}

constexpr PlannedPlacement kCpu{PlacementKind::cpu, 0, 0}, kGpu{PlacementKind::gpu, 2, 1}, kLayers{PlacementKind::layers, 1, 0},
    kPhases{PlacementKind::phases, 2, 1};
PlannedPlacement rows(double share) { return {PlacementKind::rows, 2, share}; }

// Of a model of 48 layers.
const PlannedPlacement kOf48[] = {kCpu, {PlacementKind::gpu, 48, 1}, {PlacementKind::layers, 20, 0},
                                  {PlacementKind::rows, 48, 0.7}};

uint64_t bytes_of(const Footprint& f, const std::string& what) {
    uint64_t sum = 0;
    for (const Region& r : f.regions)
        if (r.name.find(what) != std::string::npos) sum += r.bytes;
    return sum;
}

}  // namespace

TEST_CASE("plan cost: a token's seconds by hand, behind 299 others") {
    const ModelFacts model = toy();
    const MachineFacts machine = toy_machine();
    // f16. Ring: 101 rows of 2 MB = 0.202 GB and 100 keys x 8e6 = 0.8 GMAC; full: 300 x 0.2 MB = 0.06 GB and 0.3 GMAC.
    // CPU: 5 GB / 20 = 0.25 s to 10 / 100 = 0.1 s; attention 0.262 / 20 = 0.0131 to 1.1 / 50 = 0.022; head 1 / 20 = 0.05.
    CHECK(decode_seconds(model, machine, kCpu, KvFormat::f16, 299) == close(0.25 + 0.022 + 0.05));
    // Its replies are the CPU's.
    CHECK(decode_seconds(model, machine, kPhases, KvFormat::f16, 299) == close(0.25 + 0.022 + 0.05));
    // GPU: 5 / 40 to 10 / 200; 0.262 / 40 = 0.00655 to 1.1 / 100 = 0.011; head 1 / 40; there and back.
    CHECK(decode_seconds(model, machine, kGpu, KvFormat::f16, 299) == close(0.125 + 0.011 + 0.025 + 0.002));
    // Ring on the CPU: 2 / 20, 0.8 / 50 = 0.016; full on the GPU: 3 / 40, 0.3 / 100 = 0.003; head on the GPU.
    CHECK(decode_seconds(model, machine, kLayers, KvFormat::f16, 299) == close(0.1 + 0.016 + 0.075 + 0.003 + 0.025 + 0.002));
    // Rows, together: of 5 GB 3/4 on the GPU at 30 and 1/4 on the CPU at 10 end at once; attention and head on the GPU alone;
    // 4 products a layer, 2 layers, there and back: 16 handovers, and 2.
    CHECK(decode_seconds(model, machine, rows(0.75), KvFormat::f16, 299) == close(0.125 + 0.011 + 0.025 + 0.018));
    CHECK(decode_seconds(model, machine, rows(0.5), KvFormat::f16, 299) == close(0.25 + 0.011 + 0.025 + 0.018));
    CHECK(decode_seconds(model, machine, rows(0.9), KvFormat::f16, 299) == close(0.15 + 0.011 + 0.025 + 0.018));
    // A share of its own for replies; all rows on one device are read at its own pace; on the GPU nobody meets.
    const auto few = [&](double share) { return decode_seconds(model, machine, {PlacementKind::rows, 2, 0.3, share}, KvFormat::f16, 299); };
    CHECK(few(0.75) == decode_seconds(model, machine, rows(0.75), KvFormat::f16, 299));
    CHECK(few(1) == close(0.125 + 0.011 + 0.025 + 0.003));
    CHECK(few(0) == close(0.25 + 0.011 + 0.025 + 0.018));
    // Where the memory is one, a meeting is there and back.
    MachineFacts meeting = machine;
    meeting.meeting_s = 0.0005;
    CHECK(decode_seconds(model, meeting, rows(0.75), KvFormat::f16, 299) == close(0.125 + 0.011 + 0.025 + 8 * 0.0005 + 0.002));
    meeting.gpu->unified = false;
    CHECK(decode_seconds(model, meeting, rows(0.75), KvFormat::f16, 299) == close(0.125 + 0.011 + 0.025 + 0.018));
    // What multiplying bounds: a CPU of 25 GMAC/s at few columns; attention that reading bounds in f32, 0.524 GB / 20 = 0.0262.
    MachineFacts slow = machine;
    slow.cpu.few_gmacs = 25;
    CHECK(decode_seconds(model, slow, kCpu, KvFormat::f32, 299) == close(0.4 + 0.0262 + 2 / 25.0));
}

TEST_CASE("plan cost: a token's attention has a rate for each format, and windows and contexts their own ceilings") {
    const ModelFacts model = toy();
    MachineFacts machine = toy_machine();
    machine.cpu.token_f16_gmacs = 10, machine.cpu.token_q8_gmacs = 200;
    // As above, at 10 instead of 50: 1.1 / 10.
    CHECK(decode_seconds(model, machine, kCpu, KvFormat::f16, 299) == close(0.25 + 0.11 + 0.05));
    // q8_0: the window is read, 0.101 GB / 20 = 0.00505 to 0.8 / 200 = 0.004; of the context 0.03 / 20 = 0.0015 to 0.3 / 200 as long.
    CHECK(decode_seconds(model, machine, kCpu, KvFormat::q8_0, 299) == close(0.25 + 0.00505 + 0.0015 + 0.05));
    machine.cpu.token_q8_gmacs = 150;  // one is read, the other multiplied: 0.8 / 150 and 0.3 / 150
    CHECK(decode_seconds(model, machine, kCpu, KvFormat::q8_0, 299) == close(0.25 + 0.8 / 150 + 0.3 / 150 + 0.05));
    machine.cpu.token_q8_gmacs = 0;
    CHECK(decode_seconds(model, machine, kCpu, KvFormat::q8_0, 299) == close(0.25 + 0.11 + 0.05));  // the other format's
    // Prompts, but for a step of one token, know nothing of it.
    CHECK(prefill_seconds(model, machine, kCpu, KvFormat::f16, 64) == prefill_seconds(model, toy_machine(), kCpu, KvFormat::f16, 64));
    CHECK(prefill_seconds(model, machine, kCpu, KvFormat::f16, 1, 299) == close(decode_seconds(model, machine, kCpu, KvFormat::f16, 299)));
}

TEST_CASE("plan cost: a prompt's seconds by hand") {
    const ModelFacts model = toy();
    const MachineFacts machine = toy_machine();
    // 64 tokens, one step. 640 GMAC / 400 = 1.6 s; keys of the middle token 32.5 in both: ring 0.008 x 32.5 x 64 = 16.64 GMAC,
    // full 0.001 x 32.5 x 64 = 2.08, 18.72 / 50 = 0.3744; head for one row 0.05.
    CHECK(prefill_seconds(model, machine, kCpu, KvFormat::f16, 64) == close(1.6 + 0.3744 + 0.05));
    CHECK(prefill_seconds(model, machine, kGpu, KvFormat::f16, 64) == close(0.64 + 0.1872 + 0.025 + 0.002));
    CHECK(prefill_seconds(model, machine, kPhases, KvFormat::f16, 64) == prefill_seconds(model, machine, kGpu, KvFormat::f16, 64));
    // One step on both, one after the other: 4 x 64 / 400 and 16.64 / 50; 6 x 64 / 1000 and 2.08 / 100; head; two handovers.
    CHECK(prefill_seconds(model, machine, kLayers, KvFormat::f16, 64) == close(0.64 + 0.3328 + 0.384 + 0.0208 + 0.025 + 0.002));
    // Rows: 0.8 of them on the GPU at 800, 0.2 on the CPU at 200.
    CHECK(prefill_seconds(model, machine, rows(0.8), KvFormat::f16, 64) == close(0.64 + 0.1872 + 0.025 + 0.017));
    const PlannedPlacement two_shares{PlacementKind::rows, 2, 0.8, 0.1};
    CHECK(prefill_seconds(model, machine, two_shares, KvFormat::f16, 64) == close(0.64 + 0.1872 + 0.025 + 0.017));
    CHECK(prefill_seconds(model, machine, two_shares, KvFormat::f16, 8) == prefill_seconds(model, machine, rows(0.1), KvFormat::f16, 8));
    // Behind 200 others the ring sees its window of 100: 0.008 x 100 x 64 = 51.2; full 0.001 x 232.5 x 64 = 14.88.
    CHECK(prefill_seconds(model, machine, kCpu, KvFormat::f16, 64, 200) == close(1.6 + (51.2 + 14.88) / 50 + 0.05));
    // Two steps of 64: the CPU has the second one while the GPU has the first. First: CPU 0.9728, then GPU 0.48 (at 800) + 0.0208.
    // Second, behind 64: ring 0.008 x 96.5 x 64 = 49.408 GMAC, full 6.176; CPU 256 / 200 + 49.408 / 50, GPU 0.384 + 0.06176.
    const double cpu_done = 0.64 + 0.3328 + 0.001 + 1.28 + 0.98816 + 0.001;
    CHECK(prefill_seconds(model, machine, kLayers, KvFormat::f16, 128) == close(cpu_done + 0.384 + 0.06176 + 0.025 + 0.001));
}

TEST_CASE("plan cost: a step of more columns never takes less") {
    const ModelFacts model = toy();
    const MachineFacts machine = toy_machine();
    const auto products = [&](int64_t tokens) {  // less attention and head
        const auto n = static_cast<double>(tokens), keys = (n + 1) / 2;
        return prefill_seconds(model, machine, kCpu, KvFormat::f16, tokens) - 0.05 -
               std::max(0.009 * keys * n / 50, 0.0022 * n / 20);
    };
    CHECK(products(2) == close(0.25));          // reading
    CHECK(products(8) == close(80.0 / 100));    // 8 columns
    CHECK(products(9) == close(80.0 / 100));    // not less than 8
    CHECK(products(31) == close(80.0 / 100));
    CHECK(products(33) == close(330.0 / 400));  // as many
}

TEST_CASE("plan cost: longer prompts take longer, and so do replies behind more tokens") {
    const ModelFacts model = model_12b();
    for (const MachineModel& m : modelled_machines())
        for (const PlannedPlacement& p : kOf48) {
            if (p.kind != PlacementKind::cpu && !m.facts.gpu) continue;
            CAPTURE(m.name);
            CAPTURE(name(p.kind));
            double before = 0;
            bool more = true;
            for (int64_t tokens = 1; tokens < 1600; tokens += tokens < 40 || tokens % 512 < 12 || tokens % 512 > 505 ? 1 : 7) {
                const double now = prefill_seconds(model, m.facts, p, KvFormat::f16, tokens);
                more = more && now > before;
                before = now;
            }
            CHECK(more);
            before = 0;
            for (int64_t position = 0; position < 300'000; position = position * 3 / 2 + 100) {
                const double now = decode_seconds(model, m.facts, p, KvFormat::q8_0, position);
                more = more && now > before;
                before = now;
            }
            CHECK(more);
        }
}

TEST_CASE("plan cost: rates that are not known give no time, and those beside them stand in") {
    const ModelFacts model = toy();
    MachineFacts machine = toy_machine();
    machine.gpu->rates = {};
    CHECK(prefill_seconds(model, machine, kCpu, KvFormat::f16, 64) > 0);
    for (const PlannedPlacement& p : {kGpu, kLayers, kPhases, rows(0.5)}) {
        CHECK(prefill_seconds(model, machine, p, KvFormat::f16, 64) == 0);
        CHECK(decode_seconds(model, machine, p, KvFormat::f16, 64) == 0);
    }
    CHECK(!balanced_share(model, machine, 1));
    machine.gpu.reset();
    CHECK(decode_seconds(model, machine, kGpu, KvFormat::f16, 64) == 0);
    CHECK(prefill_seconds(model, toy_machine(), kCpu, KvFormat::f16, 0) == 0);

    MachineFacts two = toy_machine(), all = two;
    two.cpu = {20, 0, 0, 400, 0, 0};
    two.gpu->rates = {40, 0, 0, 1000, 0, 0};
    all.cpu = {20, 20, 400, 400, 400, 400};
    all.gpu->rates = {40, 40, 1000, 1000, 1000, 1000};
    for (const PlannedPlacement& p : {kCpu, kGpu, kLayers, kPhases, rows(0.3)}) {
        CHECK(prefill_seconds(model, two, p, KvFormat::f16, 200) == close(prefill_seconds(model, all, p, KvFormat::f16, 200)));
        CHECK(decode_seconds(model, two, p, KvFormat::f16, 200) == close(decode_seconds(model, all, p, KvFormat::f16, 200)));
    }
}

TEST_CASE("plan cost: both devices end together at the balanced share") {
    const ModelFacts model = toy();
    const MachineFacts machine = toy_machine();
    CHECK(*balanced_share(model, machine, 1) == close(30.0 / 40));          // as they read together
    CHECK(*balanced_share(model, machine, 64) == close(800.0 / 1000));      // as they multiply together
    CHECK(*balanced_share(model, machine, 4) == close(0.5 / (0.5 + 0.2)));  // CPU: reading, 5 / 10; GPU: multiplying, 40 / 200
}

TEST_CASE("plan cost: rows of a cache") {
    ModelFacts m = model_12b();
    const LayerFacts &ring = m.layers[0], &full = m.layers[5];
    CHECK(m.rows(full, 1) == 4);
    CHECK(m.rows(full, 4096) == 4096);
    CHECK(m.rows(full, 4097) == 4100);
    CHECK(m.rows(full, 2147483647) == 2147483648);
    CHECK(m.rows(ring, 262144) == 1040);
    CHECK(m.rows(ring, 2147483647) == 1040);
    CHECK(m.rows(ring, 1024) == 1040);
    CHECK(m.rows(ring, 1000) == 1016);  // a context shorter than the window, and the slack
    CHECK(m.rows(ring, 101) == 120);
    m.segment_rows = 4096;
    CHECK(m.rows(full, 4096) == 4096);
    CHECK(m.rows(full, 4097) == 8192);
}

TEST_CASE("plan cost: what a placement takes, by hand") {
    ModelFacts model = toy();
    MachineFacts machine = toy_machine();
    Wishes wishes;
    wishes.context = 601;  // ring: 120 rows of 2 MB; full: 608 of 0.2 MB
    constexpr uint64_t kRing = 240'000'000, kFull = 121'600'000, kStep = 64'000 + 5'000, kGpuStep = kStep + 17;
    Footprint f = footprint(model, machine, kCpu, KvFormat::f16, wishes);
    CHECK(f.host_bytes == 6'000'000'000 + kRing + kFull + kStep + 7 + 11);
    CHECK(f.gpu_bytes == 0);
    CHECK(bytes_of(f, "KV cache") == kRing + kFull);
    f = footprint(model, machine, kGpu, KvFormat::f16, wishes);
    CHECK(f.host_bytes == 6'000'000'000 + kRing + kFull + kGpuStep + 7 + 11 + 13);
    CHECK(f.gpu_bytes == f.host_bytes - 7);
    f = footprint(model, machine, kLayers, KvFormat::f16, wishes);  // the table and the buffers on both
    CHECK(f.host_bytes == 7'000'000'000 + kRing + kFull + kStep + kGpuStep + 7 + 11 + 13);
    CHECK(f.gpu_bytes == 4'000'000'000 + kFull + kGpuStep + 13);
    f = footprint(model, machine, rows(0.25), KvFormat::f16, wishes);
    CHECK(f.host_bytes == 6'000'000'000 + kRing + kFull + kStep + kGpuStep + 7 + 11 + 13);
    CHECK(f.gpu_bytes == 2'250'000'000 + kRing + kFull + kGpuStep + 11 + 13);
    const PlannedPlacement two_shares{PlacementKind::rows, 2, 0.25, 0.75};
    const uint64_t apart = f.host_bytes;
    f = footprint(model, machine, two_shares, KvFormat::f16, wishes);  // one copy, in the memory of both
    CHECK(f.host_bytes == apart);
    CHECK(f.gpu_bytes == 6'000'000'000 + kRing + kFull + kGpuStep + 11 + 13);
    model.exact = true;  // and what the CPU may be asked for in rows of its own
    CHECK(footprint(model, machine, two_shares, KvFormat::f16, wishes).host_bytes == apart + 3'750'000'000);
    model.exact = false;
    f = footprint(model, machine, kPhases, KvFormat::f16, wishes);  // the CPU takes 8 columns at most
    constexpr uint64_t kFewStep = 8'000 + 5'000;
    CHECK(f.host_bytes == 6'000'000'000 + kRing + kFull + kGpuStep + kFewStep + 7 + 11 + 13);
    CHECK(f.gpu_bytes == f.host_bytes - kFewStep - 7);
    model.exact = true;  // and then rows of its own
    CHECK(footprint(model, machine, kPhases, KvFormat::f16, wishes).host_bytes == f.host_bytes + 6'000'000'000);
    CHECK(footprint(model, machine, kPhases, KvFormat::f16, wishes).gpu_bytes == f.gpu_bytes);
    model.exact = false;

    // Sessions multiply the cache alone; without pictures their projections are not there.
    wishes.sessions = 3;
    wishes.media = false;
    f = footprint(model, machine, kCpu, KvFormat::q8_0, wishes);
    CHECK(f.host_bytes == 6'000'000'000 + 3 * (kRing + kFull) / 2 + kStep + 7);

    // Copies of the rings, one for each session, where their cache is.
    wishes.checkpoints = true;
    f = footprint(model, machine, kCpu, KvFormat::q8_0, wishes);
    CHECK(bytes_of(f, "checkpoints") == 3 * kRing / 2);
    CHECK(f.host_bytes == 6'000'000'000 + 3 * (2 * kRing + kFull) / 2 + kStep + 7);
    CHECK(bytes_of(footprint(model, machine, kGpu, KvFormat::q8_0, wishes), "checkpoints") == 3 * kRing / 2);
    wishes.checkpoints = false;

    // A card's memory is not the machine's.
    machine.gpu->unified = false;
    wishes.sessions = 1;
    f = footprint(model, machine, kLayers, KvFormat::f16, wishes);
    CHECK(f.host_bytes == 3'000'000'000 + kRing + kStep + 7);
    CHECK(f.gpu_bytes == 4'000'000'000 + kFull + kGpuStep + 13);
}

TEST_CASE("plan cost: what is counted are the regions, each once") {
    const ModelFacts model = model_12b();
    Wishes wishes;
    wishes.context = 32768;
    for (const MachineFacts& machine : {unified_machine(), discrete_machine()})
        for (const KvFormat kv : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0})
            for (const PlannedPlacement& p : kOf48) {
                const Footprint f = footprint(model, machine, p, kv, wishes);
                uint64_t host = 0, gpu = 0, all = 0;
                for (const Region& r : f.regions) {
                    all += r.bytes;
                    if (r.where != Where::gpu) host += r.bytes;
                    if (r.where != Where::cpu) gpu += r.bytes;
                }
                CHECK(f.gpu_bytes == gpu);
                CHECK(f.host_bytes == (machine.gpu->unified ? all : host));
                CHECK(bytes_of(f, "weights") == 40 * model.layers[0].weight_bytes + 8 * model.layers[5].weight_bytes);
            }
}
