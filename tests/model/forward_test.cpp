// The transformer against Hugging Face transformers in float32: random checkpoints in odd shapes, text,
// pictures and sound. The tolerance is the project's promise: 1e-4 of the logit range.
#include "model/forward.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "kernels/select.h"
#include "model/engine_state.h"
#include "model/load/place.h"
#include "runtime/memory/host_access.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

constexpr double kTolerance = 1e-4;  // of the logit range
const char* const kCheckpoints[] = {"five_layers", "sharded", "full_first", "old_form", "text_defaults"};
// All goldens take a software GPU a quarter of an hour, and several far devices compute what one does: unless asked for more they
// compute the longest text and all media at once of one checkpoint, and a short text of the others.
bool few_goldens() {
    const char* devices = std::getenv("LAPIDARY_TEST_DEVICES");
    return (on_gpu() || (devices && std::string(devices).find(',') != std::string::npos)) && !std::getenv("LAPIDARY_TEST_ALL_GOLDENS");
}
bool among_few(const std::string& checkpoint, const std::string& name) {
    return checkpoint == kCheckpoints[0] ? name == "text_long" || name == "mixed" : name == "text_short";
}

bool skipped(const std::string& checkpoint, const nlohmann::json& golden) {
    return (golden.contains("frames") && !kFfmpeg) || (few_goldens() && !among_few(checkpoint, golden["name"]));
}

EngineOptions precise(const std::filesystem::path& model) {
    EngineOptions o;
    o.model = model;
    o.precise = true;
    o.threads = 2;
    o.context = 2048;
    return o;
}

// The worst distance of prefill rows and of cached steps from the golden ones.
struct Distance {
    double prefill = 0, decode = 0;
    bool same_greedy = true;
};

Distance distance(const Engine& engine, const Goldens& goldens, const nlohmann::json& golden) {
    const std::string name = golden["name"];
    const auto prompt = unwrap(engine.raw(Goldens::parts(golden)));
    REQUIRE(prompt.ids() == goldens.i32(name + ".input_ids").values);

    Distance d;
    Session session = unwrap(engine.new_session());
    unwrap(session.append(prompt));
    const auto rows = all_rows(session);
    const auto& which = goldens.i32(name + ".prefill_rows").values;
    const auto& want = goldens.f32(name + ".prefill_logits");
    for (size_t i = 0; i < which.size(); ++i)
        d.prefill = std::max(d.prefill, range_error(rows[static_cast<size_t>(which[i])].data(),
                                                    want.row(static_cast<int64_t>(i)), want.cols()));

    Session generating = unwrap(session.fork());  // the prompt is computed once: it takes a software GPU long
    // Cached steps: feed the golden ids one by one.
    const auto& output = goldens.i32(name + ".output_ids").values;
    const auto& steps = goldens.i32(name + ".decode_steps").values;
    const auto& decode = goldens.f32(name + ".decode_logits");
    size_t next = 0;
    for (size_t s = 0; s + 1 < output.size(); ++s) {
        unwrap(session.append(unwrap(engine.tokens({&output[s], 1}))));
        const auto row = all_rows(session);
        if (next < steps.size() && steps[next] == static_cast<int32_t>(s)) {
            d.decode = std::max(d.decode, range_error(row[0].data(), decode.row(static_cast<int64_t>(next)),
                                                      decode.cols()));
            ++next;
        }
    }
    REQUIRE(next == steps.size());

    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    greedy.max_tokens = static_cast<uint32_t>(output.size());
    greedy.ignore_eos = true;
    d.same_greedy = unwrap(generating.generate(greedy)).tokens == output;
    return d;
}

void check_all(const std::string& level) {
    for (const char* checkpoint : kCheckpoints) {
        const Goldens goldens(checkpoint);
        EngineOptions options = precise(goldens.folder);
        options.research.cpu_level = level;
        const Engine engine = unwrap(open_engine(options));
        int cases = 0;
        for (const auto& golden : goldens.json["cases"]) {
            if (skipped(checkpoint, golden)) continue;
            const std::string name = golden["name"];
            CAPTURE(std::string(checkpoint));
            CAPTURE(name);
            const Distance d = distance(engine, goldens, golden);
            CHECK(d.prefill <= kTolerance);
            CHECK(d.decode <= kTolerance);
            CHECK(d.same_greedy);
            ++cases;
        }
        const bool texts_alone = goldens.json["cases"].size() == 2;
        CHECK(cases == (few_goldens() ? (checkpoint == kCheckpoints[0] ? 2 : 1) : (texts_alone ? 2 : kFfmpeg ? 7 : 6)));
    }
}

// The same prompt after `change` was done to a loaded model: the worst prefill distance.
template <class Change>
double distance_after(const char* checkpoint, const char* name, Change change) {
    const Goldens goldens(checkpoint);
    auto loaded = unwrap(model::load_model({.model = goldens.folder}));
    change(loaded);
    const Engine engine = unwrap(make_engine(precise(goldens.folder), std::move(loaded), {}));
    for (const auto& golden : goldens.json["cases"])
        if (golden["name"] == name) return distance(engine, goldens, golden).prefill;
    FAIL("no such golden: ", name);
    return 0;
}

void add_one(const model::TensorView& norm) {
    for (int64_t i = 0; i < norm.cols; ++i) host_floats(norm)[i] += 1.0f;
}

}  // namespace

TEST_CASE("forward: logits and greedy ids equal transformers' on the scalar kernels") { check_all("ref"); }

// LAPIDARY_TEST_DEVICES=gpu: the other one is a Vulkan device.
TEST_CASE("forward: goldens hold wherever the layers are split between two devices") {
    for (const char* checkpoint : kCheckpoints) {
        const Goldens goldens(checkpoint);
        const EngineOptions options = precise(goldens.folder);
        const auto& cases = goldens.json["cases"];
        const int32_t layers = unwrap(Engine::open(options)).info().layers;
        if (on_gpu() && layers > 5) continue;  // each cut is an engine, whose shaders a software GPU compiles
        const std::string wanted = on_gpu() ? "text_short" : "mixed";  // media at every cut: vulkan/placement_test.cpp
        const auto found = std::find_if(cases.begin(), cases.end(), [&](const auto& c) { return c["name"] == wanted; });
        const auto& golden = found == cases.end() ? cases.front() : *found;
        for (int32_t cut = 1; cut < layers; ++cut) {
            CAPTURE(std::string(checkpoint));
            CAPTURE(cut);
            const Engine engine = unwrap(open_on(options, parts_of({{.far = false}, {.far = !on_gpu(), .gpu = on_gpu()}}, {cut})));
            const Distance d = distance(engine, goldens, golden);
            CHECK(d.prefill <= kTolerance);
            CHECK(d.decode <= kTolerance);
            CHECK(d.same_greedy);
        }
    }
}

TEST_CASE("forward: logits and greedy ids equal transformers' on every other level of this machine") {
    for (const auto& level : kernels::levels())
        if (level.built && level.supported && level.name != "ref") check_all(std::string(level.name));
}

TEST_CASE("forward: picture and sound rows equal transformers' features") {
    for (const char* checkpoint : kCheckpoints) {
        const Goldens goldens(checkpoint);
        const Engine engine = unwrap(open_engine(precise(goldens.folder)));
        const auto& state = model::Access::state(engine);
        model::Weights placed;
        if (state.loaded.config.vision) unwrap(model::place_vision(state.loaded.weights.vision, state.device(), placed));
        if (state.loaded.config.audio) unwrap(model::place_audio(state.loaded.weights.audio, state.device(), placed));
        const model::Network net{state.loaded.config, placed};
        model::Workspace ws;
        for (const auto& golden : goldens.json["cases"]) {
            const std::string name = golden["name"];
            for (const char* kind : {".image_features", ".audio_features"}) {
                if (!goldens.has(name + kind)) continue;
                const auto prompt = unwrap(engine.raw(Goldens::parts(golden)));
                const model::MediaRows& media = *model::Access::data(prompt).media.at(0).rows;
                const auto got = unwrap(media.picture
                                            ? model::embed_patches(net, state.device(), ws, media.patches)
                                            : model::embed_frames(net, state.device(), ws, media.frames));
                const auto& want = goldens.f32(name + kind);
                REQUIRE(got.size() == want.values.size());
                CHECK(range_error(got.data(), want.values.data(), static_cast<int64_t>(got.size())) <= kTolerance);
            }
        }
    }
}

TEST_CASE("forward: the residual behind every layer equals transformers', whatever the layers that are asked for") {
    for (const char* checkpoint : kCheckpoints) {
        if (few_goldens() && checkpoint != kCheckpoints[0]) break;
        const Goldens goldens(checkpoint);
        const TensorFile hidden(goldens.folder / "hidden.safetensors");
        const Engine engine = unwrap(open_engine(precise(goldens.folder)));
        const int64_t width = engine.info().hidden;
        size_t cases = 0;
        for (const auto& golden : goldens.json["cases"]) {
            const std::string name = golden["name"];
            if (!hidden.has(name + ".hidden")) continue;
            ++cases;
            const auto& positions = hidden.i32(name + ".rows").values;
            const auto& want = hidden.f32(name + ".hidden");  // [layers, rows, hidden]
            REQUIRE(want.shape == std::vector<int64_t>{engine.info().layers, static_cast<int64_t>(positions.size()), width});
            ForwardOptions how;
            std::vector<std::vector<float>> got(static_cast<size_t>(engine.info().layers));
            how.hidden = [&](const HiddenRows& rows) {
                auto& all = got[static_cast<size_t>(rows.layer)];
                all.insert(all.end(), rows.values.begin(), rows.values.end());
            };
            for (const int32_t step : {1, 2}) {  // all layers, and every other one
                how.hidden_layers.clear();
                for (auto& all : got) all.clear();
                for (int32_t l = 0; l < engine.info().layers; l += step) how.hidden_layers.push_back(l);
                Session session = unwrap(engine.new_session());
                unwrap(session.append(unwrap(engine.raw(Goldens::parts(golden)))));
                unwrap(session.forward(how, {}));
                for (const int32_t layer : how.hidden_layers) {
                    for (size_t i = 0; i < positions.size(); ++i) {
                        CAPTURE(std::string(checkpoint));
                        CAPTURE(name);
                        CAPTURE(layer);
                        const int64_t row = layer * static_cast<int64_t>(positions.size()) + static_cast<int64_t>(i);
                        const float* mine = got[static_cast<size_t>(layer)].data() + positions[i] * width;
                        CHECK(range_error(mine, want.values.data() + row * width, width) <= kTolerance);
                    }
                }
            }
        }
        CHECK(cases == (engine.info().image ? 2 : 1));
    }
}

// Each known mistake must be far outside the tolerance, or the tests above prove nothing.
TEST_CASE("forward: negative controls") {
    const double far = 10 * kTolerance;
    CHECK(distance_after("five_layers", "text_long", [](auto&) {}) <= kTolerance);
    CHECK(distance_after("five_layers", "text_long", [](model::LoadedModel& m) {
        for (auto& l : m.weights.layers) l.scale = 1.0f;
    }) > far);
    CHECK(distance_after("five_layers", "text_long", [](model::LoadedModel& m) {
        for (auto& l : m.weights.layers) add_one(l.attn_norm);
    }) > far);
    CHECK(distance_after("five_layers", "text_long", [](model::LoadedModel& m) { ++m.config.window; }) > far);
    CHECK(distance_after("five_layers", "text_long", [](model::LoadedModel& m) { --m.config.window; }) > far);
    CHECK(distance_after("five_layers", "text_long", [](model::LoadedModel& m) {
        for (const auto& l : m.config.layers)
            if (l.kind == model::LayerKind::full) m.config.full_rope.pairs = l.head_dim / 2;
    }) > far);
    CHECK(distance_after("five_layers", "image_one", [](model::LoadedModel& m) {
        m.config.vision->planar = !m.config.vision->planar;
    }) > far);
    CHECK(distance_after("five_layers", "image_one", [](model::LoadedModel& m) {
        m.config.vision_blocks = false;
    }) > far);
}
