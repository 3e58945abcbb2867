// Opening models: files that llama.cpp wrote, in every type it quantises to, and options that cannot be.
#include "model/engine_state.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "lapidary/tools.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

EngineOptions with(const std::filesystem::path& model) {
    EngineOptions o;
    o.model = model;
    o.threads = 2;
    return o;
}

Error open_error(const EngineOptions& options) {
    const auto engine = Engine::open(options);
    REQUIRE(!engine);
    CHECK(!engine.error().message.empty());
    CHECK(!engine.error().hint.empty());
    return engine.error();
}

double largest_difference(const float* a, const float* b, int64_t n) {
    double worst = 0;
    for (int64_t i = 0; i < n; ++i) worst = std::max(worst, std::abs(double{a[i]} - b[i]));
    return worst;
}

}  // namespace

// Exact: float64 logits of the stored weights. With f32 inputs we meet them to 1e-4 of the range; with int8
// inputs we may stay within twice the distance of the engine that wrote the file, which rounds as we do.
TEST_CASE("engine: files by llama.cpp in every type give the exact logits") {
    const auto quants = read_json(kData / "peer/quants.json");
    const auto ids = quants["ids"].get<std::vector<int32_t>>();
    const auto which = quants["rows"].get<std::vector<size_t>>();
    const TensorFile logits(kData / "peer/logits.safetensors");
    int files = 0;
    for (const auto& item : quants["types"].items()) {
        const std::string& type = item.key();
        const auto& facts = item.value();
        CAPTURE(type);
        const auto path = kData / "peer" / ("quant3-" + type + ".gguf");
        if (type == "q4_k_s") continue;  // the same block formats as q4_k_m, left out for size
        const Table<float>& exact = logits.f32(type + "/exact");
        for (const bool precise : {true, false}) {
            CAPTURE(precise);
            if (on_gpu() && precise && type != "q4_0") continue;  // the products of each: tests/runtime/vulkan
            EngineOptions options = with(path);
            options.precise = precise;
            options.kv = KvFormat::f32;  // as the peer did
            const Engine engine = unwrap(open_engine(options));
            Session session = unwrap(engine.new_session());
            unwrap(session.append(unwrap(engine.tokens(ids))));
            const auto rows = all_rows(session);
            for (size_t i = 0; i < which.size(); ++i) {
                const float* want = exact.row(static_cast<int64_t>(i));
                const float* got = rows[which[i]].data();
                if (precise)
                    CHECK(range_error(got, want, exact.cols()) <= 1e-4);
                else
                    CHECK(largest_difference(got, want, exact.cols()) <=
                          2 * facts["max_abs_llamacpp_vs_exact"].get<double>());
            }
            GenerateOptions greedy;
            greedy.sampling.temperature = 0.0f;
            greedy.ignore_eos = true;
            greedy.max_tokens = 16;
            CHECK(unwrap(session.generate(greedy)).tokens == facts["llamacpp_greedy"].get<std::vector<int32_t>>());
        }
        ++files;
    }
    CHECK(files == 13);
}

TEST_CASE("engine: options that cannot be are refused with their numbers") {
    EngineOptions o = with(kTiny);
    o.image_tokens = 71;
    CHECK(open_error(o).message.find("71") != std::string::npos);
    CHECK(open_error(o).code == Errc::invalid_argument);

    o = with(kTiny);
    o.context = 5000;
    CHECK(open_error(o).message.find("4096") != std::string::npos);

    o = with(kTiny);
    o.placement = Placement::split;
    CHECK(open_error(o).code == Errc::device_unavailable);
    o.placement = Placement::cpu;
    o.device = "0";
    CHECK(open_error(o).code == Errc::invalid_argument);
    o.placement = Placement::automatic;
    o.device = "no such device";
    CHECK(open_error(o).code == Errc::device_unavailable);

    o = with(kTiny);
    o.research.cpu_level = "avx9";
    CHECK(open_error(o).code == Errc::invalid_argument);
    CHECK(open_error(o).message.find("ref") != std::string::npos);

    o = with(kTiny);
    o.research.prefill_chunk = 0;
    CHECK(open_error(o).code == Errc::invalid_argument);

    o = with(kTiny);
    o.threads = 1025;
    CHECK(open_error(o).message.find("1025") != std::string::npos);
    o.threads = -1;
    CHECK(open_error(o).code == Errc::invalid_argument);

    for (int EngineOptions::* phase : {&EngineOptions::prefill_threads, &EngineOptions::decode_threads}) {
        o = with(kTiny);
        o.*phase = -5;
        CHECK(open_error(o).message.find("-5") != std::string::npos);
    }
    o = with(kTiny);
    o.kv = static_cast<KvFormat>(9);
    CHECK(open_error(o).message.find("9") != std::string::npos);

    CHECK(open_error(with(kTiny / "nothing-here")).code == Errc::model_not_found);
    const auto unsupported = open_error(with(kData / "peer/unsupported-tq1_0.gguf"));
    CHECK(unsupported.code == Errc::unsupported_model);
    CHECK(unsupported.message.find("tq1_0") != std::string::npos);
}

TEST_CASE("engine: describes what it opened") {
    EngineOptions o = with(kTiny);
    o.context = 300;
    const Engine engine = unwrap(Engine::open(o));
    const ModelInfo& info = engine.info();
    CHECK(info.source == "hf");
    CHECK(info.type == "bf16");
    CHECK(info.layers == 8);
    CHECK(info.vocab == 2048);
    CHECK(info.context == 300);
    CHECK(info.model_context == 4096);
    CHECK(info.text);
    CHECK(info.image);
    CHECK(info.audio);
    CHECK(info.parameters > 7'000'000);
    CHECK(info.stop_ids == std::vector<int32_t>{1, 16, 9});
}

TEST_CASE("engine: detokenize is the way back from tokenize, with and without control tokens") {
    const Engine engine = unwrap(Engine::open(with(kTiny)));
    for (const char* text : {"Who are you?", " two  spaces\n", "na\u00efve \u2603 \U0001F999", ""}) {
        CAPTURE(text);
        CHECK(unwrap(engine.detokenize(unwrap(engine.tokenize(text)))) == text);
    }
    const auto ids = unwrap(engine.tokenize("<|turn>user\nHi<turn|>", {.special = true, .bos = true}));
    CHECK(unwrap(engine.detokenize(ids)) == "user\nHi");
    CHECK(unwrap(engine.detokenize(ids, true)) == "<bos><|turn>user\nHi<turn|>");
    const std::vector<int32_t> half = unwrap(engine.tokenize("\U0001F999"));
    REQUIRE(half.size() > 1);  // bytes: a part of them is no character
    CHECK(unwrap(engine.detokenize(std::span(half).first(1))).find("\uFFFD") == 0);
    CHECK(unwrap(engine.detokenize({})) == "");
}

TEST_CASE("engine: for prompts only a file may end behind its tokenizer") {
    const ScratchFolder folder;
    const auto whole = kData / "peer/quant3-q8_0.gguf";
    const Engine full = unwrap(Engine::open(with(whole)));
    const std::string bytes = read_file(whole);
    EngineOptions o = with(folder.write("cut.gguf", bytes.substr(0, bytes.size() / 4)));
    CHECK(open_error(o).code == Errc::bad_model_file);
    o.prompts_only = true;
    o.needs.text = true;
    const Engine engine = unwrap(Engine::open(o));
    CHECK(engine.info().text);
    CHECK(engine.info().vocab == full.info().vocab);
    CHECK(engine.info().stop_ids == full.info().stop_ids);
    CHECK(engine.info().weight_bytes == 0);
    const auto ids = unwrap(engine.tokenize("Who are you?"));
    CHECK(ids == unwrap(full.tokenize("Who are you?")));
    CHECK(unwrap(engine.detokenize(ids)) == "Who are you?");
    const Conversation ask{{{.role = Role::user, .parts = {Part::text("Hi <bos>")}}}};
    CHECK(unwrap(engine.render(ask)).ids() == unwrap(full.render(ask)).ids());
    const auto session = engine.new_session();
    REQUIRE(!session);
    CHECK(session.error().code == Errc::invalid_argument);
    CHECK(session.error().hint.find("prompts_only") != std::string::npos);
}

TEST_CASE("engine: what measures or judges a model refuses one that was opened for prompts only") {
    EngineOptions o = with(kTiny);
    o.prompts_only = true;
    const Excerpt excerpt{.text = "one two three four five"};
    CHECK(perplexity({.engine = o, .excerpt = excerpt}).error().code == Errc::invalid_argument);
    CHECK(kld({.model = o, .base = o, .excerpt = excerpt}).error().code == Errc::invalid_argument);
    const auto sink = [](const BenchRow&) { return Flow::go; };
    CHECK(bench({.engine = o, .prompt = {4}, .generate = {}, .repetitions = 1}, sink).error().code ==
          Errc::invalid_argument);
    CHECK(unwrap(inspect(o)).tensors.size() > 100);  // it never computes
}

TEST_CASE("engine: load progress counts bytes as they are rearranged, and its answer cancels") {
    EngineOptions o = with(kTiny);
    std::vector<std::pair<uint64_t, uint64_t>> seen;
    o.progress = [&](std::string_view stage, uint64_t done, uint64_t total) {
        CHECK(stage == "load");
        seen.emplace_back(done, total);
        return true;
    };
    const Engine engine = unwrap(Engine::open(o));
    CHECK(seen.front() == std::pair<uint64_t, uint64_t>{0, 0});
    if (engine.info().panels.empty()) return;  // this level multiplies bf16 as it lies in the file
    REQUIRE(seen.size() > 8);
    CHECK(std::is_sorted(seen.begin(), seen.end()));
    CHECK(seen.back().first == seen.back().second);
    CHECK(seen.back().second <= engine.info().weight_bytes);
    const uint64_t half = seen.back().second / 2;
    o.progress = [&](std::string_view, uint64_t done, uint64_t) { return done < half; };
    CHECK(Engine::open(o).error().code == Errc::cancelled);
    o.progress = [](std::string_view, uint64_t, uint64_t) { return false; };
    CHECK(Engine::open(o).error().code == Errc::cancelled);
}

TEST_CASE("engine: ids and pieces outside the vocabulary are refused") {
    const Engine engine = unwrap(Engine::open(with(kTiny)));
    for (const int32_t id : {-1, 2048, 1 << 30}) {
        const auto prompt = engine.tokens({&id, 1});
        REQUIRE(!prompt);
        CHECK(prompt.error().code == Errc::invalid_argument);
        CHECK(prompt.error().message.find(std::to_string(id)) != std::string::npos);
        CHECK(!engine.piece(id).has_value());
    }
}

TEST_CASE("engine: a text-only model refuses pictures and sound by name") {
    const Engine engine = unwrap(Engine::open(with(kData / "peer/quant3-q8_0.gguf")));
    CHECK(!engine.info().image);
    for (const Part& part : {Part::image(kTiny / "samples/image_1.png"), Part::audio(kTiny / "samples/speech_1.wav")}) {
        const auto prompt = engine.raw(std::vector{part});
        REQUIRE(!prompt);
        CHECK(prompt.error().code == Errc::media_unsupported);
    }
}

TEST_CASE("engine: a checkpoint made for more positions than a step can name opens up to that many") {
    const ScratchFolder folder;
    const auto model = folder.path() / "model";
    std::filesystem::copy(kData / "goldens/five_layers", model, std::filesystem::copy_options::recursive);
    auto config = read_json(model / "config.json");
    config["text_config"]["max_position_embeddings"] = 1 << 20;
    folder.write("model/config.json", config.dump());
    EngineOptions o = with(model);
    o.context = static_cast<uint32_t>(model::kMaxContext) + 1;
    const Error refused = open_error(o);
    CHECK(refused.code == Errc::invalid_argument);
    CHECK(refused.message.find("327680") != std::string::npos);
    o.context = static_cast<uint32_t>(model::kMaxContext);
    o.research.prefill_chunk = UINT32_MAX;
    const Engine engine = unwrap(Engine::open(o));
    CHECK(engine.info().model_context == 1u << 20);
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.tokens(std::vector<int32_t>{2, 105}))));
    CHECK(all_rows(session).size() == 2);
}

TEST_CASE("engine: what is needed and absent is said before the weights are touched") {
    const ScratchFolder folder;
    GgufBuilder builder = small_gguf();
    builder.text("tokenizer.ggml.model", "llama");
    auto* down = builder.find("blk.0.ffn_down.weight");
    down->type = 1;  // f16, which stands in panels
    down->data.assign(16 * 8 * 2, '\0');
    EngineOptions options = with(folder.write("a.gguf", builder.build()));
    int packed = 0;
    options.progress = [&](std::string_view, uint64_t, uint64_t total) { return packed += total > 0, true; };
    const auto by_ids = Engine::open(options);
    REQUIRE(by_ids);
    CHECK((packed > 0) == !by_ids->info().panels.empty());  // some levels multiply f16 as it lies in the file
    packed = 0;
    options.needs.text = true;
    CHECK(open_error(options).code == Errc::bad_model_file);
    options.needs = {.image = true};
    CHECK(open_error(options).code == Errc::media_unsupported);
    CHECK(packed == 0);
    folder.write("p.gguf", small_projector().build());
    const auto engine = Engine::open(options);
    REQUIRE(engine);
    CHECK(engine->info().image);
}
