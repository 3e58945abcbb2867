// One model on the CPU and a software GPU together, as the planner lays it out: the CPU's tokens, whatever is where, and
// whenever the GPU is lost.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/try.h"
#include "lapidary/tools.h"
#include "model/rates.h"
#include "model/session_state.h"
#include "runtime/split_device.h"
#include "tests/support/invented_machine.h"
#include "tests/support/lossy_gpu.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

EngineOptions options_of(const std::filesystem::path& model) {
    static const ScratchFolder verdicts;  // one self-test for all engines
    EngineOptions o;
    o.model = model;
    o.threads = 2;
    o.context = 256;
    o.precise = true;
    o.research.prefill_chunk = 48;
    o.cache_folder = verdicts.path();
    return o;
}

EngineOptions shared_with_gpu(EngineOptions o) {
    o.placement = Placement::split;
    o.device = name_of_gpu();
    return o;
}

std::vector<int32_t> tokens_of(const Engine& engine, const std::vector<Part>& prompt, uint32_t count) {
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.raw(prompt))));
    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    greedy.ignore_eos = true;
    greedy.max_tokens = count;
    return unwrap(session.generate(greedy)).tokens;
}

std::vector<Part> golden_case(const char* checkpoint, const char* name) {
    const Goldens goldens(checkpoint);
    for (const auto& c : goldens.json["cases"])
        if (c["name"] == name) return Goldens::parts(c);
    FAIL("no such golden: ", name);
    return {};
}

}  // namespace

TEST_CASE("both devices: every split of the layers gives the CPU's tokens for text, pictures and sound") {
    const EngineOptions options = options_of(kData / "goldens/five_layers");
    const Engine cpu = unwrap(Engine::open(options));
    const int32_t layers = cpu.info().layers;
    for (const char* name : {"text_long", "mixed"}) {
        const auto prompt = golden_case("five_layers", name);
        const auto want = tokens_of(cpu, prompt, 4);
        for (int32_t n = 1; n <= layers; ++n) {
            CAPTURE(name);
            CAPTURE(n);
            EngineOptions shared = shared_with_gpu(options);
            shared.gpu_layers = static_cast<uint32_t>(n);
            const Engine engine = unwrap(Engine::open(shared));
            const auto& parts = model::Access::state(engine).parts;
            REQUIRE(parts.size() == (n == layers ? 1 : 2));
            CHECK(parts.back().first == layers - n);
            CHECK_FALSE(parts.back().gpu.empty());
            CHECK(engine.info().gpu == parts.back().gpu);
            CHECK(engine.plan().placement.kind == (n == layers ? "gpu" : "layers"));
            CHECK(tokens_of(engine, prompt, 4) == want);
        }
    }
}

TEST_CASE("both devices: shares of every matrix's rows give the CPU's tokens") {
    const EngineOptions options = options_of(kData / "goldens/five_layers");
    const Engine cpu = unwrap(Engine::open(options));
    const auto prompt = golden_case("five_layers", "mixed");
    const auto want = tokens_of(cpu, prompt, 4);
    for (const double share : {0.1, 0.5, 0.8}) {
        CAPTURE(share);
        EngineOptions shared = shared_with_gpu(options);
        shared.gpu_share = share;
        const Engine engine = unwrap(Engine::open(shared));
        CHECK(dynamic_cast<runtime::SplitDevice*>(model::Access::state(engine).parts[0].device.get()) != nullptr);
        CHECK(engine.plan().placement.kind == "rows");
        CHECK(tokens_of(engine, prompt, 4) == want);
    }
}

TEST_CASE("both devices: a share of the rows for prompts and one for replies, and a token is one submit and one for each product") {
    const EngineOptions options = options_of(kData / "goldens/five_layers");
    const auto prompt = golden_case("five_layers", "mixed");
    const auto want = tokens_of(unwrap(Engine::open(options)), prompt, 9);
    runtime::vulkan::VulkanDevice* gpu = nullptr;
    for (const auto& shares : {std::pair{0.8, 0.2}, {1.0, 0.5}, {0.5, 0.0}}) {
        const double prompts = shares.first, replies = shares.second;
        CAPTURE(prompts);
        CAPTURE(replies);
        const auto maker = [&, share = runtime::PlannedPlacement{runtime::PlacementKind::rows, 5, prompts, replies}](
                               const EngineOptions& o, const model::LoadedModel& loaded, Attempt) -> Result<std::vector<model::DevicePart>> {
            LAP_ASSIGN(auto parts, part_on(unwrap(open_gpu(true)), o, loaded, 1e9));
            LAP_ASSIGN(auto cpu, cpu_part(o, loaded));
            gpu = static_cast<runtime::vulkan::VulkanDevice*>(parts[0].device.get());
            parts[0].device = std::make_unique<runtime::SplitDevice>(
                std::move(parts[0].device), std::move(cpu[0].device), [share](int64_t rows, int64_t, int64_t columns) {
                    return static_cast<int64_t>(share.share(columns) * static_cast<double>(rows)) / 16 * 16;
                });
            return parts;
        };
        const Engine engine = unwrap(open_on(options, maker));
        CHECK(tokens_of(engine, prompt, 5) == std::vector(want.begin(), want.begin() + 5));
        const int64_t five = gpu->counts().submits;
        model::Access::shared(engine)->media.forget();  // they are embedded again
        CHECK(tokens_of(engine, prompt, 9) == want);
        CHECK(gpu->counts().submits - five == five + 4 * (1 + 4 * 5));  // tokens of five layers with four products each
    }
}

TEST_CASE("both devices: a plan with two shares makes such devices") {
    const EngineOptions options = options_of(kData / "goldens/five_layers");
    const auto prompt = golden_case("five_layers", "text_long");
    const auto maker = [](const EngineOptions& o, const model::LoadedModel& loaded, Attempt attempt) {
        return planned_parts({runtime::PlacementKind::rows, 5, 0.7, 0.3}, o, loaded, attempt);
    };
    CHECK(tokens_of(unwrap(open_on(shared_with_gpu(options), maker)), prompt, 4) ==
          tokens_of(unwrap(Engine::open(options)), prompt, 4));
}

TEST_CASE("both devices: prompts on the GPU and replies on the CPU, over one cache and one copy of the weights") {
    for (const bool precise : {true, false}) {
        CAPTURE(precise);
        EngineOptions options = options_of(kData / "goldens/five_layers");
        options.precise = precise;
        EngineOptions phases = options;
        phases.placement = Placement::phases;
        phases.device = name_of_gpu();
        const Engine engine = unwrap(Engine::open(phases));
        CHECK(engine.plan().placement.kind == "phases");
        CHECK(engine.info().gpu.find(name_of_gpu()) != std::string::npos);
        const auto& parts = model::Access::state(engine).parts;
        REQUIRE(parts.size() == 1);
        REQUIRE(parts[0].few);
        CHECK(parts[0].few->gpu.empty());
        // Exact products take rows, which the CPU unpacks for itself.
        if (!precise) CHECK(parts[0].few->weights.layers[0].q.buffer == parts[0].weights.layers[0].q.buffer);
        CHECK(parts[0].few->weights.layers[0].attn_norm.buffer == parts[0].weights.layers[0].attn_norm.buffer);
        const Engine cpu = unwrap(Engine::open(options));
        for (const char* name : {"text_long", "mixed"}) {
            CAPTURE(name);
            const auto prompt = golden_case("five_layers", name);
            const auto tokens = tokens_of(engine, prompt, 6);
            if (precise) CHECK(tokens == tokens_of(cpu, prompt, 6));
            CHECK(tokens == tokens_of(engine, prompt, 6));
        }
    }
}

TEST_CASE("both devices: the bundled model answers a question, a picture and a recording on both devices") {
    const EngineOptions options = options_of(kTiny);
    const auto answers = [](const Engine& engine) {
        std::vector<std::vector<int32_t>> out;
        for (const auto& media : std::vector<std::vector<Part>>{
                 {}, {Part::image(kTiny / "samples/image_2.png")}, {Part::audio(kTiny / "samples/speech_3.wav")}}) {
            std::vector<Part> parts = media;
            parts.push_back(Part::text(media.empty() ? "Who are you?" : "What is it?"));
            Session session = unwrap(engine.new_session());
            unwrap(session.append(unwrap(engine.render({{{.role = Role::user, .parts = parts}}}))));
            GenerateOptions greedy;
            greedy.sampling.temperature = 0.0f;
            greedy.max_tokens = 12;
            out.push_back(unwrap(session.generate(greedy)).tokens);
        }
        return out;
    };
    EngineOptions large = options;
    large.context = 1024;
    const auto want = answers(unwrap(Engine::open(large)));
    EngineOptions layers = shared_with_gpu(large), rows = shared_with_gpu(large);
    layers.gpu_layers = 3;
    rows.gpu_share = 0.4;
    EngineOptions phases = shared_with_gpu(large);
    phases.placement = Placement::phases;
    for (const bool precise : {true, false}) {
        phases.precise = precise;
        CHECK(answers(unwrap(Engine::open(phases))) == want);
    }
    CHECK(answers(unwrap(Engine::open(layers))) == want);
    CHECK(answers(unwrap(Engine::open(rows))) == want);
}

TEST_CASE("both devices: a GPU lost at any hand-over, once or again, changes nothing that is said") {
    EngineOptions options = options_of(kData / "goldens/five_layers");
    const auto prompt = golden_case("five_layers", "mixed");
    const auto want = tokens_of(unwrap(Engine::open(options)), prompt, 3);
    for (const auto kind : {runtime::PlacementKind::layers, runtime::PlacementKind::rows, runtime::PlacementKind::phases}) {
        const auto maker = [kind](int lossy) -> PartsMaker {
            return [kind, gpu = gpu_that_is_lost(lossy)](const EngineOptions& o, const model::LoadedModel& loaded, Attempt attempt)
                       -> Result<std::vector<model::DevicePart>> {
                LAP_ASSIGN(auto made, gpu(o, loaded, attempt));
                LAP_ASSIGN(auto cpu, cpu_part(o, loaded));
                if (kind == runtime::PlacementKind::phases) {
                    made[0].few = std::make_unique<model::DevicePart>(std::move(cpu[0]));
                    return made;
                }
                if (kind == runtime::PlacementKind::rows) {
                    made[0].device = std::make_unique<runtime::SplitDevice>(std::move(made[0].device), std::move(cpu[0].device),
                                                                            [](int64_t all, int64_t, int64_t columns) { return all / (columns > 8 ? 64 : 32) * 16; });
                    return made;
                }
                cpu[0].last = made[0].first = 2;
                made.insert(made.begin(), std::move(cpu[0]));
                return made;
            };
        };
        const auto talk = [&](int lossy, int64_t at, std::vector<std::string>& notes) {
            options.note = [&](std::string_view note) { notes.emplace_back(note); };
            const Engine engine = unwrap(open_on(options, maker(lossy)));
            lose_gpu_at(at);
            const auto tokens = tokens_of(engine, prompt, 3);
            keep_gpu();  // the next one gets its weights
            return tokens;
        };
        std::vector<std::string> notes;
        CHECK(talk(1, 0, notes) == want);
        CHECK(notes.empty());
        const int64_t submits = gpu_submits();
        REQUIRE(submits >= 3);
        const int64_t step = std::max<int64_t>(1, submits / 3);  // of rows there is a meeting for every product
        for (const int lossy : {1, 2})
            for (int64_t at = 1; at <= submits; at += step) {
                CAPTURE(runtime::name(kind));
                CAPTURE(lossy);
                CAPTURE(at);
                notes.clear();
                CHECK(talk(lossy, at, notes) == want);
                CHECK((!notes.empty() || gpu_submits() < at));  // how many there are depends on how fast it is
                CHECK(notes.size() <= static_cast<size_t>(lossy));
            }
    }
}

TEST_CASE("both devices: automatic takes what was measured to be fastest, and the CPU where nothing was or the GPU is gone") {
    const ScratchFolder folder;
    EngineOptions o;
    o.model = kData / "goldens/five_layers";
    o.threads = 2;
    o.context = 256;
    o.cache_folder = folder.path();
    const auto kind = [&] { return unwrap(Engine::open(o)).plan().placement.kind; };
    CHECK(kind() == "cpu");
    EngineOptions gpu = o;
    gpu.placement = Placement::gpu;
    gpu.device = name_of_gpu();
    const model::RatesPlace place = unwrap(model::rates_place(gpu));
    const auto measured = [&](double cpu, double on_gpu, double handover, double meeting) {
        const auto rates = [](double r) { return runtime::Rates{r, r, r, r, r, r}; };
        unwrap(runtime::write_rates(place.file, place.key, {rates(cpu), rates(on_gpu), handover, meeting, "2026-01-02T03:04:05Z"}));
    };
    measured(10, 100, 1e-6, 1e-3);  // microseconds are much in so small a model
    CHECK(kind() == "gpu");
    CHECK(!unwrap(Engine::open(o)).info().gpu.empty());
    measured(100, 10, 1e-3, 1e-3);
    CHECK(kind() == "cpu");
    measured(100, 100, 0, 0);
    CHECK(kind() == "rows");
    runtime::RatesKey gone = place.key;
    gone.gpu = "a GPU that is not here";
    std::filesystem::remove(place.file);
    const auto rates = runtime::Rates{100, 100, 100, 100, 100, 100};
    unwrap(runtime::write_rates(folder.path() / runtime::rates_file_name(gone), gone, {runtime::Rates{1, 1, 1, 1, 1, 1}, rates, 0, 0, ""}));
    CHECK(kind() == "cpu");
    folder.write(place.file.filename().string(), "{ damaged");
    CHECK(kind() == "cpu");
}

TEST_CASE("both devices: another state of power moves an automatic placement where that pays, and sessions go on") {
    const ScratchFolder folder;
    const InventedMachine machine;
    machine.put("proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\nSwapFree: 0 kB");
    const auto profile = [&](const char* name) { machine.put("sys/firmware/acpi/platform_profile", name); };
    std::vector<std::string> notes;
    EngineOptions o = options_of(kData / "goldens/five_layers");
    o.cache_folder = folder.path();
    o.research.system_root = machine.root();
    const auto prompt = golden_case("five_layers", "mixed");
    o.placement = Placement::cpu;
    const auto want = tokens_of(unwrap(Engine::open(o)), prompt, 6);
    o.placement = Placement::automatic;
    o.note = [&](std::string_view note) { notes.emplace_back(note); };
    EngineOptions gpu = o;
    gpu.placement = Placement::gpu;
    gpu.device = name_of_gpu();
    const auto measured = [&](const char* power, double cpu, double on_gpu) {
        profile(power);
        const model::RatesPlace place = unwrap(model::rates_place(gpu));
        const auto rates = [](double r) { return runtime::Rates{r, r, r, r, r, r}; };
        unwrap(runtime::write_rates(place.file, place.key, {rates(cpu), rates(on_gpu), 1e-6, 1e-6, "2026-01-02T03:04:05Z"}));
    };
    measured("quiet", 10, 100);
    measured("cool", 100, 4);
    measured("performance", 100, 10);
    const Engine engine = unwrap(Engine::open(o));
    const auto kind = [&] { return engine.plan().placement.kind; };
    CHECK(kind() == "cpu");
    Session other = unwrap(engine.new_session());
    unwrap(other.append(unwrap(engine.raw(prompt))));
    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    greedy.ignore_eos = true;
    greedy.max_tokens = 3;
    auto tokens = unwrap(other.generate(greedy)).tokens;
    const auto ask = [&] {
        Session session = unwrap(engine.new_session());
        constexpr int32_t kIds[] = {2, 105, 9};
        unwrap(session.append(unwrap(engine.tokens(kIds))));
        unwrap(session.forward({}, {}));
    };
    profile("cool");
    ask();
    CHECK(kind() == "cpu");  // where it is nearly as fast
    CHECK(notes.empty());
    profile("quiet");
    ask();
    CHECK(kind() == "gpu");
    CHECK(!model::Access::state(engine).parts[0].gpu.empty());
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].find("power changed from 'mains, cool' to 'mains, quiet': going on all on the GPU") == 0);
    for (const int32_t id : unwrap(other.generate(greedy)).tokens) tokens.push_back(id);
    CHECK(tokens == want);
    profile("balanced");  // of which nothing is known
    ask();
    CHECK(kind() == "gpu");
    profile("performance");
    CHECK(tokens_of(engine, prompt, 6) == want);
    CHECK(kind() == "cpu");
    CHECK(model::Access::state(engine).parts[0].gpu.empty());
    CHECK(notes.size() == 2);
}

TEST_CASE("both devices: what contradicts itself is refused, and the ends are one device") {
    const auto error_of = [](EngineOptions o) {
        const auto engine = Engine::open(o);
        REQUIRE(!engine);
        return engine.error();
    };
    EngineOptions o = shared_with_gpu(options_of(kData / "goldens/five_layers"));
    o.gpu_layers = 2;
    o.gpu_share = 0.5;
    CHECK(error_of(o).code == Errc::invalid_argument);
    o.gpu_layers.reset();
    o.gpu_share = 1.5;
    CHECK(error_of(o).message.find("1.5") != std::string::npos);
    o.gpu_share = 0.5;
    o.placement = Placement::gpu;
    CHECK(error_of(o).hint.find("split") != std::string::npos);
    o.placement = Placement::automatic;
    o.gpu_share = 1.0;
    CHECK(unwrap(Engine::open(o)).plan().placement.kind == "gpu");
    o.gpu_share.reset();
    o.gpu_layers = 99;
    CHECK(unwrap(Engine::open(o)).plan().placement.kind == "gpu");
    o.device.clear();
    o.gpu_layers = 0;
    CHECK(unwrap(Engine::open(o)).plan().placement.kind == "cpu");
}

TEST_CASE("both devices: the trace shows the hand-overs of a long prompt in their order, and the CPU at work beside the GPU") {
    EngineOptions options = shared_with_gpu(options_of(kData / "goldens/five_layers"));
    options.gpu_layers = 3;
    options.research.prefill_chunk = 12;
    options.research.trace_events = 100'000;
    const Engine engine = unwrap(Engine::open(options));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.raw(golden_case("five_layers", "text_long")))));
    const auto chunks = (session.position() + 11) / 12;
    REQUIRE(chunks > 3);
    unwrap(session.forward({.rows = Rows::last}, {}));
    const ScratchFolder folder;
    unwrap(write_trace(engine, folder.path() / "trace.json"));
    struct Slice {
        double begin, end;
    };
    std::vector<Slice> cpu, taken, gpu;  // the CPU's last layer, the hand-overs, the GPU's last layer
    int processes = 0;
    const auto trace = nlohmann::json::parse(read_file(folder.path() / "trace.json"));
    for (const auto& e : trace["traceEvents"]) {
        processes += e["name"] == "process_name";
        if (e["ph"] != "X") continue;
        const Slice slice{e["ts"], e["ts"].get<double>() + e["dur"].get<double>()};
        if (e["tid"] == 0 && e["args"]["layer"] == 1) cpu.push_back(slice);
        if (e["tid"] == 0 && e["args"]["layer"] == 4) gpu.push_back(slice);
        if (e["name"] == "residual") taken.push_back(slice);
    }
    CHECK(processes == 2);
    REQUIRE(cpu.size() == chunks);
    REQUIRE(taken.size() == chunks);
    REQUIRE(gpu.size() == chunks);
    bool beside = false;
    for (size_t i = 0; i < chunks; ++i) {
        CHECK(taken[i].begin >= cpu[i].end);
        CHECK(gpu[i].end >= taken[i].end);
        if (i == 0) continue;
        CHECK(taken[i].begin >= gpu[i - 1].end);
        CHECK(cpu[i].begin >= taken[i - 1].begin);
        beside = beside || cpu[i].begin < gpu[i - 1].end;
    }
    CHECK(beside);
    const auto rows = profile(engine);
    CHECK(std::any_of(rows.begin(), rows.end(), [](const ProfileRow& r) { return r.op == "wait" && r.device == "CPU"; }));
}
