// Engines whose devices are unlike the host, and several of them: the bits of the CPU, replays, and the mistakes that
// these tests are there to catch.
#include "model/engine_state.h"

#include <doctest/doctest.h>

#include "kernels/select.h"
#include "runtime/memory/host_buffer.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

EngineOptions options_of(const char* checkpoint, uint32_t chunk = 512) {
    EngineOptions o;
    o.model = kData / "goldens" / checkpoint;
    o.threads = 2;
    o.context = 1024;
    o.research.prefill_chunk = chunk;
    return o;
}

std::vector<Part> parts_of_case(const Goldens& goldens, const char* name) {
    for (const auto& c : goldens.json["cases"])
        if (c["name"] == name) return Goldens::parts(c);
    FAIL("no such golden: ", name);
    return {};
}

using Logits = std::vector<std::vector<float>>;

// Rows of a prompt, then of tokens one by one.
Logits rows_of(const Engine& engine, const Goldens& goldens, const char* name, int tokens) {
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.raw(parts_of_case(goldens, name)))));
    Logits rows = all_rows(session);
    for (int32_t i = 0; i < tokens; ++i) {
        const int32_t id = 7 + 3 * i;
        unwrap(session.append(unwrap(engine.tokens({&id, 1}))));
        rows.push_back(all_rows(session).back());
    }
    return rows;
}

// Two sessions side by side: a prompt, then tokens in turns; the second starts when the first has decoded a little.
Logits turns(const Engine& engine, const Goldens& goldens, const char* first, const char* second) {
    Session a = unwrap(engine.new_session()), b = unwrap(engine.new_session());
    Logits rows;
    const auto keep = [&](const Logits& more) { rows.insert(rows.end(), more.begin(), more.end()); };
    const auto step = [&](Session& s, int32_t id) {
        unwrap(s.append(unwrap(engine.tokens({&id, 1}))));
        keep(all_rows(s));
    };
    unwrap(a.append(unwrap(engine.raw(parts_of_case(goldens, first)))));
    keep(all_rows(a));
    for (int32_t i = 0; i < 3; ++i) step(a, 5 + i);
    unwrap(b.append(unwrap(engine.raw(parts_of_case(goldens, second)))));
    keep(all_rows(b));
    for (int32_t i = 0; i < 4; ++i) {
        step(b, 11 + i);
        step(a, 21 + i);
    }
    return rows;
}

}  // namespace

TEST_CASE("parts: a far device gives the bits of the CPU, whatever the chunk") {
    const Goldens goldens("five_layers");
    for (const uint32_t chunk : {1u, 3u, 17u, 512u}) {
        for (const char* name : {"text_long", "images_three", "mixed"}) {
            CAPTURE(chunk);
            CAPTURE(name);
            const EngineOptions options = options_of("five_layers", chunk);
            const Engine cpu = unwrap(Engine::open(options)), far = unwrap(open_on(options, parts_of({{}})));
            CHECK(rows_of(far, goldens, name, 5) == rows_of(cpu, goldens, name, 5));
        }
    }
}

TEST_CASE("parts: from the second token on every step is a replay, also while another session takes turns") {
    const Goldens goldens("five_layers");
    const Engine far = unwrap(open_on(options_of("five_layers"), parts_of({{}})));
    const auto& counts = far_counts(far);
    Session a = unwrap(far.new_session()), b = unwrap(far.new_session());
    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    greedy.ignore_eos = true;
    for (Session* s : {&a, &b}) {
        unwrap(s->append(unwrap(far.raw(parts_of_case(goldens, "mixed")))));
        greedy.max_tokens = 2;  // the prompt's, and one decoded
        unwrap(s->generate(greedy));
    }
    const auto before = counts;
    greedy.max_tokens = 1;
    for (int i = 0; i < 10; ++i) {
        unwrap(a.generate(greedy));
        unwrap(b.generate(greedy));
    }
    CHECK(counts.recordings == before.recordings);
    CHECK(counts.replays == before.replays + 20);
}

TEST_CASE("parts: every split of the layers over two devices gives the bits of one") {
    const Goldens goldens("old_form");
    const EngineOptions options = options_of("old_form", 64);
    const Engine one = unwrap(Engine::open(options));
    const auto layers = static_cast<int32_t>(model::Access::state(one).loaded.config.layers.size());
    CHECK(layers >= 7);
    for (const char* name : {"text_long", "mixed"}) {
        const Logits want = rows_of(one, goldens, name, 3);
        for (int32_t cut = 0; cut <= layers; ++cut) {
            CAPTURE(name);
            CAPTURE(cut);
            for (const auto& devices : {std::vector<TestDevice>{{true}, {false}}, {{false}, {true}}, {{true}, {true}}}) {
                const Engine two = unwrap(open_on(options, parts_of(devices, {cut})));
                CHECK(rows_of(two, goldens, name, 3) == want);
            }
        }
    }
}

TEST_CASE("parts: residuals are handed out once, also where a device has no layers of its own") {
    const Goldens goldens("old_form");
    const EngineOptions options = options_of("old_form");
    const auto residuals = [&](const Engine& engine) {
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.raw(parts_of_case(goldens, "mixed")))));
        std::vector<std::pair<int32_t, std::vector<float>>> out;
        ForwardOptions how;
        how.hidden_layers = {2, 3, 6};
        how.hidden = [&](const HiddenRows& rows) {
            out.emplace_back(rows.layer, std::vector<float>(rows.values.begin(), rows.values.end()));
        };
        unwrap(session.forward(how, {}));
        return out;
    };
    const auto want = residuals(unwrap(Engine::open(options)));
    CHECK(want.size() % 3 == 0);
    for (const auto& cuts : {std::vector<int32_t>{3, 3}, {4, 7}, {0, 4}}) {
        const Engine three = unwrap(open_on(options, parts_of({{true}, {false}, {true}}, cuts)));
        CHECK(residuals(three) == want);
    }
}

TEST_CASE("parts: rows of every matrix shared by two devices give the bits of one") {
    const Goldens goldens("old_form");
    for (const bool precise : {false, true}) {
        EngineOptions options = options_of("old_form", 64);
        options.precise = precise;
        const Engine one = unwrap(Engine::open(options));
        for (const char* name : {"text_long", "mixed"}) {
            const Logits want = rows_of(one, goldens, name, 3);
            for (const bool far : {false, true}) {
                for (const double from : {0.0, 0.3, 0.5, 0.8}) {
                    CAPTURE(precise);
                    CAPTURE(name);
                    CAPTURE(far);
                    CAPTURE(from);
                    const Engine split = unwrap(open_on(options, parts_of({{far, FarFault::none, from}})));
                    CHECK(rows_of(split, goldens, name, 3) == want);
                }
            }
        }
    }
}

TEST_CASE("parts: candidates chosen on the device give the tokens of whole rows") {
    const Goldens goldens("five_layers");
    const EngineOptions options = options_of("five_layers");
    const Engine far = unwrap(open_on(options, parts_of({{}})));
    for (const uint64_t seed : {1u, 2u, 3u}) {
        GenerateOptions how;
        how.sampling.seed = seed;
        how.sampling.top_k = 20;
        how.max_tokens = 24;
        how.ignore_eos = true;
        std::vector<std::vector<int32_t>> tokens;
        for (const int logprobs : {0, 2}) {  // with them the sampler reads whole rows
            how.logprobs = logprobs;
            Session session = unwrap(far.new_session());
            unwrap(session.append(unwrap(far.raw(parts_of_case(goldens, "text_long")))));
            tokens.push_back(unwrap(session.generate(how)).tokens);
        }
        CHECK(tokens[0] == tokens[1]);
    }
}

// Each mistake must show, or the tests above prove nothing.
TEST_CASE("parts: negative controls") {
    const Goldens goldens("five_layers");
    const EngineOptions options = options_of("five_layers", 32);
    const Engine cpu = unwrap(Engine::open(options));
    const auto wrong = [&](FarFault fault) {
        const Engine far = unwrap(open_on(options, parts_of({{true, fault}})));
        return turns(far, goldens, "images_three", "mixed") != turns(cpu, goldens, "images_three", "mixed");
    };
    CHECK(!wrong(FarFault::none));
    CHECK(wrong(FarFault::stale_inputs));
    CHECK(wrong(FarFault::stale_rows));
    CHECK(wrong(FarFault::key_without_cache));
}

TEST_CASE("parts: a cache that grows needs no new recording, and one with the memory of before is found out") {
    EngineOptions options = options_of("text_defaults");
    options.context = 4200;
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 4093; ++i) ids.push_back(1 + i % 50);
    const auto last_rows = [&](const Engine& engine) {
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.tokens(ids))));
        Logits rows;
        const auto keep = [&](int64_t, std::span<const float> row) {
            rows.emplace_back(row.begin(), row.end());
            return Flow::go;
        };
        unwrap(session.forward({}, keep));
        for (int32_t i = 0; i < 6; ++i) {  // over the end of the first segment
            unwrap(session.append(unwrap(engine.tokens({&i, 1}))));
            unwrap(session.forward({}, keep));
        }
        return rows;
    };
    const auto open = [&](const PartsMaker& parts) {
        auto loaded = unwrap(model::load_model(load_options(options)));
        loaded.config.context = 2 * model::kSegmentRows;
        return unwrap(make_engine(options, std::move(loaded), {}, Packing::now, parts));
    };
    const Logits want = last_rows(open(cpu_part));
    const Engine far = open(parts_of({{}}));
    CHECK(last_rows(far) == want);
    CHECK(far_counts(far).recordings == 3);  // the first chunk, whose rows nobody wants, the last, and a token
    CHECK(last_rows(open(parts_of({{true, FarFault::baked_segments}}))) != want);
}

TEST_CASE("parts: an operation that is given memory of the host is refused") {
    FarDevice far(*lapidary::kernels::select("ref", nullptr), 1, true);
    auto near = runtime::allocate_host(64);
    auto mine = far.allocate(64, runtime::MemoryKind::state);
    REQUIRE(near);
    REQUIRE(mine);
    for (const auto& other : {*mine, *near}) {
        auto recording = far.begin({.shape = {.columns = 1, .widest = 16}, .workspace = runtime::new_identity()}, {});
        REQUIRE(recording);
        far.add(runtime::view(*mine, runtime::Format::f32, 1, 16), runtime::view(other, runtime::Format::f32, 1, 16));
        far.end();
        CHECK(bool(far.wait(far.submit())) == (other == *mine));
    }
}
