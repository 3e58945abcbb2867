// Panels at load: which matrices move, that their source's pages are given back, and that the model still
// says the same, bit for bit, whatever the chunks and threads.
#include "model/load/place.h"

#include <doctest/doctest.h>

#include "kernels/select.h"
#include "model/engine_state.h"
#include "runtime/cpu/cpu_device.h"
#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::test;
using runtime::Layout;

namespace {

const std::filesystem::path kQ4 = kData / "peer/quant3-q4_0.gguf";

std::vector<std::vector<float>> rows_of(EngineOptions options) {
    const auto ids = read_json(kData / "peer/quants.json")["ids"].get<std::vector<int32_t>>();
    options.model = kQ4;
    const Engine engine = unwrap(Engine::open(options));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.tokens(ids))));
    return all_rows(session);
}

}  // namespace

TEST_CASE("place: layer matrices of a panel format move, everything else stays") {
    for (const auto& level : kernels::levels()) {
        if (!level.table) continue;
        auto loaded = unwrap(model::load_model({.model = kQ4}));
        runtime::CpuDevice device(*level.table, 2, false);
        const model::Share all{.first = 0, .last = static_cast<int32_t>(loaded.weights.layers.size())};
        const uint64_t total = model::bytes_to_move(loaded.weights, all, device);
        uint64_t last = 0;
        const auto placed = unwrap(model::place_weights(loaded.weights, all, device, [&](uint64_t done) {
            CHECK(done > last);
            last = done;
            return true;
        }));
        CHECK(last == total);
        CHECK(total > 0);
        for (const auto& l : placed.layers)
            for (const auto* t : {&l.q, &l.k, &l.o, &l.gate, &l.up, &l.down})
                CHECK((t->layout == Layout::panels) == kernels::has_panels(t->format));
        CHECK((placed.embed.layout == Layout::panels) == kernels::has_panels(placed.embed.format));
        CHECK(placed.identity > 0);
    }
}

TEST_CASE("place: precise mode keeps the file's rows, a refusal stops with cancelled") {
    auto loaded = unwrap(model::load_model({.model = kQ4}));
    runtime::CpuDevice precise(*kernels::select("", nullptr), 1, true);
    const model::Share all{.first = 0, .last = static_cast<int32_t>(loaded.weights.layers.size())};
    CHECK(unwrap(model::place_weights(loaded.weights, all, precise, {})).layers[0].q.layout == Layout::rows);
    runtime::CpuDevice device(*kernels::select("ref", nullptr), 1, false);
    const auto stopped = model::place_weights(loaded.weights, all, device, [](uint64_t) { return false; });
    REQUIRE(!stopped);
    CHECK(stopped.error().code == Errc::cancelled);
}

TEST_CASE("place: chunks and threads never change a bit of a panel model") {
    EngineOptions options;
    options.threads = 2;
    const auto whole = rows_of(options);
    for (const uint32_t chunk : {1u, 2u, 5u, 8u, 33u}) {
        options.research.prefill_chunk = chunk;
        CHECK(rows_of(options) == whole);
    }
    options.research.prefill_chunk = 512;
    for (const int threads : {1, 3}) {
        options.threads = threads;
        CHECK(rows_of(options) == whole);
    }
}
