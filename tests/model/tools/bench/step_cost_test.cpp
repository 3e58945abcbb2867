// The bundled model, counted by hand from its configuration.
#include "model/tools/bench/step_cost.h"

#include <doctest/doctest.h>

#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::model;
using namespace lapidary::test;

TEST_CASE("step cost: matrices per column, the head per wanted row, attention per visible position") {
    EngineOptions options;
    options.model = kTiny;
    options.threads = 1;
    const Engine engine = unwrap(Engine::open(options));
    const Session session = unwrap(engine.new_session());
    const auto& state = model::Access::state(engine);
    const ModelConfig& c = state.loaded.config;
    const auto cost = [&](int32_t position, int32_t columns, int32_t rows) {
        return step_cost(model::Access::state(session), position, columns, rows);
    };
    const double head = static_cast<double>(c.vocab) * c.hidden;
    CHECK(cost(0, 1, 1).macs - cost(0, 1, 0).macs == doctest::Approx(head));
    CHECK(cost(0, 1, 1).bytes - cost(0, 1, 0).bytes == static_cast<uint64_t>(state.loaded.weights.embed.bytes()));
    // One more visible position: a product with its key and one with its value, for every query head.
    double position_macs = 0;
    for (const LayerConfig& l : c.layers) position_macs += 2.0 * c.heads * l.head_dim;
    CHECK(cost(1, 1, 0).macs - cost(0, 1, 0).macs == doctest::Approx(position_macs));
    CHECK(cost(3, 2, 0).macs == doctest::Approx(cost(3, 1, 0).macs + cost(4, 1, 0).macs));
    CHECK(cost(3, 2, 0).bytes == cost(4, 1, 0).bytes);  // weights once, rows as the last token sees them
    // Beyond the window only the full layers see more.
    double full_macs = 0;
    for (const LayerConfig& l : c.layers)
        if (l.kind == LayerKind::full) full_macs += 2.0 * c.heads * l.head_dim;
    CHECK(cost(c.window + 5, 1, 0).macs - cost(c.window + 4, 1, 0).macs == doctest::Approx(full_macs));
}
