// What the planner is told of a model is what allocators take.
#include "model/plan_facts.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "model/kv_cache.h"
#include "model/load/loader.h"
#include "model/session_state.h"
#include "model/workspace.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;
using model::KvCache;


namespace {

model::LoadedModel load(const std::filesystem::path& path) { return unwrap(model::load_model({.model = path})); }

}  // namespace

TEST_CASE("plan facts: caches take what their rows say, in every format and for every context") {
    for (const char* checkpoint : {"five_layers", "old_form"}) {
        const model::LoadedModel loaded = load(kData / "goldens" / checkpoint);
        for (const int32_t context : {1, 7, 64, 1000, 4096, 5001, 200000}) {
            const runtime::ModelFacts facts = model::plan_facts(loaded.config, loaded.weights, {512, context, 2, false});
            for (const runtime::KvFormat f : {runtime::KvFormat::f32, runtime::KvFormat::f16, runtime::KvFormat::q8_0}) {
                uint64_t bytes = 0;
                for (const runtime::LayerFacts& l : facts.layers)
                    bytes += static_cast<uint64_t>(facts.rows(l, context)) * l.position_bytes[static_cast<size_t>(f)];
                CAPTURE(context);
                CHECK(bytes == KvCache::bytes_for(loaded.config, f, context));
            }
        }
    }
}

TEST_CASE("plan facts: weights and multiply-adds are those of the tensors") {
    const model::LoadedModel loaded = load(kTiny);
    const runtime::ModelFacts facts = model::plan_facts(loaded.config, loaded.weights, {512, 4096, 2, false});
    REQUIRE(facts.layers.size() == loaded.config.layers.size());
    uint64_t bytes = facts.embedding_bytes + facts.media_bytes;
    for (const auto& l : facts.layers) bytes += l.weight_bytes;
    // Norms are f32 in memory and bf16 in the file, and each layer has a scale.
    CHECK(bytes >= loaded.weights.bytes);
    CHECK(bytes < loaded.weights.bytes + loaded.weights.bytes / 20);
    const model::LayerWeights& w = loaded.weights.layers[0];
    double macs = 0;
    for (const auto* m : {&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down})
        if (*m) macs += static_cast<double>(m->rows * m->cols);
    CHECK(facts.layers[0].macs == macs);
    CHECK(facts.head_macs == static_cast<double>(loaded.config.vocab) * loaded.config.hidden);
    CHECK(facts.layers[0].key_macs == 2.0 * loaded.config.heads * loaded.config.layers[0].head_dim);
    CHECK(facts.table_bytes == 0);  // its rows stay in the file
}

TEST_CASE("plan facts: a step's buffers are those of its workspace") {
    const model::LoadedModel loaded = load(kTiny);
    auto parts = unwrap(cpu_part({.model = kTiny, .threads = 1}, loaded));
    for (const int32_t columns : {1, 40, 512}) {
        model::Workspace ws;
        unwrap(ws.reserve(*parts[0].device, loaded.config, columns));
        uint64_t bytes = 0;
        for (const runtime::Buffer* b : {&ws.x, &ws.normed, &ws.branch, &ws.q, &ws.k, &ws.v, &ws.heads, &ws.gate, &ws.up}) bytes += (*b)->bytes;
        CHECK(bytes == static_cast<uint64_t>(columns) * model::Workspace::column_bytes(loaded.config));
        CHECK(ws.logits->bytes + ws.candidates->bytes == model::Workspace::row_bytes(loaded.config));
        unwrap(ws.reserve_media(*parts[0].device, loaded.config));
        bytes = 0;
        for (const runtime::Buffer* b : {&ws.media.input, &ws.media.out, &ws.media.embedded, &ws.media.across, &ws.media.down})
            bytes += (*b)->bytes;
        CHECK(bytes == model::Workspace::media_bytes(loaded.config));
    }
    const runtime::ModelFacts facts = model::plan_facts(loaded.config, loaded.weights, {512, 4096, 2, false});
    CHECK(facts.column_bytes > model::Workspace::column_bytes(loaded.config));
    CHECK(facts.step_bytes > model::Workspace::row_bytes(loaded.config) + model::Workspace::media_bytes(loaded.config));
    CHECK(model::plan_facts(loaded.config, loaded.weights, {512, 100, 2, false}).chunk == 100);
}
