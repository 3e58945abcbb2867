// A whole context of 262,144 tokens, computed: what the first tokens say reaches the last logits, by the full layer alone. Takes
// minutes: ctest -L slow runs it, and nothing else does.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "model/engine_state.h"
#include "model/synth/memory.h"
#include "runtime/memory/host_access.h"
#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

constexpr int32_t kContext = 262144, kEarly = 7, kLate = kContext - 1500;  // positions; the window is 64

// One sliding and one full layer, of random weights. deaf: nothing that the full layer attends to is heard.
Engine engine_of(bool deaf) {
    model::SynthOptions layers;
    layers.preset = model::SynthPreset::tiny;
    layers.type = kernels::Format::bf16;
    layers.layers = 2;
    auto loaded = unwrap(model::synthetic_model(layers));
    REQUIRE(loaded.config.layers[0].kind == model::LayerKind::sliding);
    REQUIRE(loaded.config.layers[1].kind == model::LayerKind::full);
    REQUIRE(loaded.config.context == kContext);
    const runtime::TensorView& o = loaded.weights.layers[1].o;
    if (deaf) std::memset(runtime::host_bytes(o), 0, static_cast<size_t>(o.bytes()));
    EngineOptions options;
    options.context = kContext;
    options.threads = 2;
    options.precise = true;
    options.placement = Placement::cpu;
    return unwrap(make_engine(options, std::move(loaded), {}));
}

std::vector<int32_t> ids_of(int32_t vocab) {
    std::vector<int32_t> ids;
    for (uint32_t i = 0, state = 1; i < kContext; ++i) {
        state = state * 1664525 + 1013904223;
        ids.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocab)));
    }
    return ids;
}

// The logits behind the last of these.
std::vector<float> after(const Engine& engine, Session& session, std::span<const int32_t> ids) {
    unwrap(session.append(unwrap(engine.tokens(ids))));
    std::vector<float> out;
    unwrap(session.forward({}, [&](int64_t, std::span<const float> logits) {
        out.assign(logits.begin(), logits.end());
        return Flow::go;
    }));
    return out;
}

double largest_change(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
    return most;
}

}  // namespace

TEST_CASE("long context: an early token of 262144 changes the last logits, and only by the full layer" * doctest::skip()) {
    constexpr int32_t kCommon = kLate - 500;
    for (const bool deaf : {false, true}) {
        CAPTURE(deaf);
        const Engine engine = engine_of(deaf);
        std::vector<int32_t> ids = ids_of(engine.info().vocab);
        const std::span<const int32_t> all(ids);
        Session session = unwrap(engine.new_session());
        after(engine, session, all.first(kCommon));
        Session again = unwrap(session.fork()), late = unwrap(session.fork());
        const auto want = after(engine, session, all.subspan(kCommon));
        REQUIRE(session.position() == kContext);
        CHECK(after(engine, again, all.subspan(kCommon)) == want);  // what changes below, the token changes

        const auto change = [&](int32_t position, int32_t by) {
            int32_t& id = ids[static_cast<size_t>(position)];
            id = (id + by) % engine.info().vocab;
        };
        change(kLate, 1);
        const double by_late = largest_change(after(engine, late, all.subspan(kCommon)), want);
        change(kLate, engine.info().vocab - 1);  // and back
        change(kEarly, 1);
        Session early = unwrap(engine.new_session());
        const double by_early = largest_change(after(engine, early, all), want);
        MESSAGE("the last logits moved by ", by_early, " for token ", kEarly, " and by ", by_late, " for token ", kLate);
        CHECK((by_early > 0) == !deaf);
        CHECK((by_late > 0) == !deaf);
    }
}
