// What the planner is told in tests: the 12B model from its public shapes, and the rates of a machine in whole numbers.
#pragma once

#include "runtime/plan/facts.h"

// 40 sliding layers with 8 kv heads of 256 and a window of 1024, 8 full ones with one kv head of 512 whose keys are its values
// (640 numbers a position), 16 query heads, hidden 3840, FFN 15360, 262144 tokens tied; `bits` a weight.
inline lapidary::runtime::ModelFacts model_12b(double bits = 4.5) {
    using namespace lapidary::runtime;
    constexpr double kHidden = 3840, kFfn = 3 * kHidden * 15360;
    constexpr double kSliding = kFfn + kHidden * (2 * 16 * 256 + 2 * 8 * 256), kFull = kFfn + kHidden * (2 * 16 * 512 + 512);
    static_assert(kSliding > 224.1e6 && kSliding < 224.2e6 && kFull > 241.8e6 && kFull < 241.9e6);
    const auto bytes = [&](double weights) { return static_cast<uint64_t>(weights * bits / 8); };
    ModelFacts m;
    m.name = "12B";
    m.type = "Q4_0";
    for (int i = 0; i < 48; ++i) {
        LayerFacts l;
        l.ring = i % 6 != 5;
        l.macs = l.ring ? kSliding : kFull;
        l.weight_bytes = bytes(l.macs);
        if (l.ring) l.position_bytes = {16384, 8192, 4096 + 256};
        else l.position_bytes = {2560, 1280, 640 + 16 + 32};  // planes of scales in whole 16 bytes
        l.key_macs = l.ring ? 16 * 2 * 256 : 16 * 2 * 512;
        m.layers.push_back(l);
    }
    m.head_macs = 262144 * kHidden;
    m.embedding_bytes = bytes(m.head_macs);
    m.media_bytes = 100 << 20;
    m.context = 262144;
    m.window = 1024;
    m.ring_rows = 1024 + 16;
    m.segment_rows = 4;
    m.column_bytes = 250'000;
    m.step_bytes = 4 << 20;
    m.program_bytes = 60 << 20;
    return m;
}

inline constexpr uint64_t kTestGiB = uint64_t{1} << 30;

// A unified machine on which both devices are known.
inline lapidary::runtime::MachineFacts unified_machine(uint64_t gib = 32) {
    lapidary::runtime::MachineFacts m;
    m.name = "unified";
    m.total_bytes = gib * kTestGiB;
    m.usable_bytes = m.total_bytes * 3 / 4;
    m.limited_by = "free memory";
    m.cpu = {40, 30, 300, 320, 240, 80};
    lapidary::runtime::PlanGpu g;
    g.name = "GPU";
    g.heap_bytes = m.total_bytes / 2;
    g.driver_bytes = 256 << 20;
    g.rates = {60, 50, 500, 1600, 1200, 400};
    m.gpu = g;
    m.handover_s = 5e-6;
    m.rates_from = "a test";
    return m;
}

// The same with a GPU of 8 GiB of its own.
inline lapidary::runtime::MachineFacts discrete_machine(uint64_t gib = 16) {
    lapidary::runtime::MachineFacts m = unified_machine(gib);
    m.name = "discrete";
    m.gpu->unified = false;
    m.gpu->heap_bytes = 8 * kTestGiB;
    return m;
}
