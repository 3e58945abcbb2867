// Hugging Face folders: both forms of config.json, tensor names of all versions, shards, and what is refused.
#include "model/load/hf_loader.h"

#include <doctest/doctest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "runtime/memory/host_access.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::SafetensorsBuilder;
using lapidary::test::ScratchFolder;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path kTiny = fs::path(LAPIDARY_SOURCE_DIR) / "models" / "tiny";
constexpr Errc kBad = Errc::bad_model_file, kUnsupported = Errc::unsupported_model,
               kMissing = Errc::model_not_found;

Result<LoadedModel> load(const fs::path& path) { return load_model({.model = path, .mmproj = {}}); }

void refused(const Result<LoadedModel>& loaded, Errc code, const std::string& words) {
    CAPTURE(words);
    REQUIRE_FALSE(loaded);
    CAPTURE(loaded.error().message);
    CHECK(loaded.error().code == code);
    CHECK(loaded.error().message.find(words) != std::string::npos);
}

// The small folder with one change to its config, given as a JSON merge patch.
void refuses(const char* patch, Errc code, const std::string& words) {
    const ScratchFolder folder;
    json config = json::parse(test::small_config_json());
    config.merge_patch(json::parse(patch));
    test::write_small_folder(folder, config.dump());
    refused(load(folder.path()), code, words);
}

LoadedModel loads(const json& config) {
    const ScratchFolder folder;
    test::write_small_folder(folder, config.dump());
    auto model = load(folder.path());
    if (!model) FAIL(model.error().message);
    return std::move(*model);
}

}  // namespace

TEST_CASE("the small folder loads") {
    const LoadedModel model = loads(json::parse(test::small_config_json()));
    const ModelConfig& c = model.config;
    CHECK(c.layers[0].kind == LayerKind::sliding);
    CHECK(c.layers[1].head_dim == 8);
    CHECK(c.layers[1].kv_heads == 1);
    CHECK(c.layers[1].k_eq_v);
    CHECK(c.full_rope.pairs == 1);  // a quarter of four
    CHECK(c.full_rope.theta == 1e6);
    CHECK(c.sliding_rope.pairs == 2);
    CHECK(c.stop_ids == std::vector<int32_t>{1, 5});
    CHECK(c.vision->soft_tokens == 280);
    CHECK(c.video_frames == 32);
    CHECK(c.sampling.top_k == 64);
    CHECK(model.weights.layers[0].scale == 0.25f);
    CHECK(host_floats(model.weights.vision.pos_x, 4)[5] == 45.0f);
    CHECK(host_floats(model.weights.vision.pos_y, 3)[2] == 132.0f);
    CHECK_FALSE(model.vocabulary);
    CHECK(model.vocabulary_problem.find("tokenizer.json") != std::string::npos);
}

TEST_CASE("the newer form of config.json gives the same model") {
    json config = json::parse(test::small_config_json());
    json& text = config["text_config"];
    text.erase("global_head_dim");
    text.erase("num_global_key_value_heads");
    text["per_layer_config"] = {{"1", {{"head_dim", 8}, {"num_key_value_heads", 1}}}};
    config["vision_config"].erase("model_patch_size");
    const LoadedModel model = loads(config);
    CHECK(model.config.layers[0].head_dim == 4);
    CHECK(model.config.layers[0].kv_heads == 2);
    CHECK(model.config.layers[1].head_dim == 8);
    CHECK(model.config.layers[1].kv_heads == 1);
    CHECK(model.config.layers[1].k_eq_v);
    CHECK(model.config.vision->model_patch == 4);
}

TEST_CASE("absent fields take the defaults of the configuration class") {
    json config = json::parse(test::small_config_json());
    json& text = config["text_config"];
    for (const char* key : {"layer_types", "max_position_embeddings", "final_logit_softcapping"})
        text.erase(key);
    text["sliding_window"] = nullptr;
    config.erase("vision_config");
    config.erase("audio_config");
    const LoadedModel model = loads(config);
    CHECK(model.config.layers[0].kind == LayerKind::sliding);
    CHECK(model.config.layers[1].kind == LayerKind::full);  // the last one always is
    CHECK(model.config.window == 1024);
    CHECK(model.config.context == 262144);
    CHECK(model.config.soft_cap == 0.0f);
    CHECK(model.config.vision_blocks);
    CHECK_FALSE(model.config.vision);
    CHECK_FALSE(model.config.audio);
}

TEST_CASE("a last layer that claims to be sliding is full") {
    json config = json::parse(test::small_config_json());
    config["text_config"]["layer_types"][1] = "sliding_attention";
    CHECK(loads(config).config.layers[1].kind == LayerKind::full);
}

TEST_CASE("without keys as values every layer has its own values") {
    const ScratchFolder folder;
    json config = json::parse(test::small_config_json());
    config["text_config"]["attention_k_eq_v"] = false;
    test::write_small_folder(folder, config.dump());
    // num_global_key_value_heads counts only with attention_k_eq_v, so layer 1 now has two heads of 8
    refused(load(folder.path()), kBad, "layers.1.self_attn.k_proj.weight' in");
    config["text_config"]["num_key_value_heads"] = 1;
    test::write_small_folder(folder, config.dump());
    refused(load(folder.path()), kBad, "layers.0.self_attn.k_proj.weight' in");
}

TEST_CASE("rotary parameters") {
    json config = json::parse(test::small_config_json());
    json& rope = config["text_config"]["rope_parameters"];
    rope["full_attention"] = {
        {"rope_type", "proportional"}, {"rope_theta", 5e5}, {"partial_rotary_factor", 0.5}};
    rope["sliding_attention"] = {{"rope_type", "default"}, {"rope_theta", 2e4}};
    const ModelConfig c = loads(config).config;
    CHECK(c.full_rope.theta == 5e5);
    CHECK(c.full_rope.pairs == 2);
    CHECK(c.sliding_rope.theta == 2e4);
    CHECK(c.sliding_rope.pairs == 2);
    refuses(R"({"text_config":{"rope_parameters":{"full_attention":{"rope_type":"yarn","rope_theta":1e6}}}})",
            kUnsupported, "'yarn'");
    refuses(
        R"({"text_config":{"rope_parameters":{"full_attention":{"rope_type":"default","rope_theta":"x"}}}})",
        kBad, "rope_theta");
    refuses(R"({"text_config":{"rope_parameters":{"full_attention":{"partial_rotary_factor":2}}}})", kBad,
            "partial_rotary_factor");
    refuses(R"({"text_config":{"rope_parameters":{"full_attention":{"factor":8.0}}}})", kUnsupported,
            "scaled");
}

TEST_CASE("vision blocks are off only when the file says null") {
    json config = json::parse(test::small_config_json());
    config["text_config"]["use_bidirectional_attention"] = nullptr;
    CHECK_FALSE(loads(config).config.vision_blocks);
    config["text_config"]["use_bidirectional_attention"] = "vision";
    CHECK(loads(config).config.vision_blocks);
    refuses(R"({"text_config":{"use_bidirectional_attention":"all"}})", kUnsupported,
            "use_bidirectional_attention");
}

TEST_CASE("other architectures and features are named") {
    refuses(R"({"model_type":"llama","architectures":["LlamaForCausalLM"]})", kUnsupported,
            "'LlamaForCausalLM'");
    refuses(R"({"model_type":"gemma4","architectures":null})", kUnsupported, "model_type 'gemma4'");
    refuses(R"({"model_type":null,"architectures":null})", kBad, "model_type is missing");
    refuses(R"({"model_type":"gemma4_unified_assistant"})", kUnsupported, "this is a drafter");
    refuses(R"({"architectures":["Gemma4UnifiedAssistantForCausalLM"]})", kUnsupported, "this is a drafter");
    refuses(R"({"quantization_config":{"quant_method":"awq"}})", kUnsupported,
            "quantised in a format of another");
    refuses(R"({"text_config":{"quantization_config":{"quant_method":"gptq"}}})", kUnsupported,
            "text_config: the weights are quantised in a format of another program (quantization_config)");
    refuses(R"({"vision_config":{"quantization":{"bits":4}}})", kUnsupported, "vision_config: the weights are quantised");
    refuses(R"({"text_config":{"model_type":"gemma4_text"}})", kUnsupported,
            "text_config: its model_type is 'gemma4_text', not 'gemma4_unified_text'");
    refuses(R"({"audio_config":{"model_type":"gemma4_audio"}})", kUnsupported, "audio_config: its model_type is 'gemma4_audio'");
    refuses(R"({"architectures":["Gemma2ForCausalLM"]})", kUnsupported,
            "the architecture is 'Gemma2ForCausalLM', although model_type is 'gemma4_unified'");
    refuses(R"({"text_config":null})", kBad, "text_config is missing");
    refuses(R"({"text_config":{"hidden_size_per_layer_input":256}})", kUnsupported, "E4B");
    refuses(R"({"text_config":{"enable_moe_block":true}})", kUnsupported, "mixture of experts");
    refuses(R"({"text_config":{"num_experts":8}})", kUnsupported, "mixture of experts");
    refuses(R"({"text_config":{"num_kv_shared_layers":1}})", kUnsupported, "share keys and values");
    refuses(R"({"text_config":{"use_double_wide_mlp":true}})", kUnsupported, "double-wide");
    refuses(R"({"text_config":{"attention_bias":true}})", kUnsupported, "biases");
    refuses(R"({"text_config":{"tie_word_embeddings":false}})", kUnsupported, "no tensor lm_head.weight is there");
    refuses(R"({"tie_word_embeddings":false})", kUnsupported, "tie_word_embeddings is false");
    refuses(R"({"text_config":{"rope_scaling":{"factor":8}}})", kUnsupported, "rope_scaling");
    refuses(R"({"text_config":{"attn_logit_softcapping":50.0}})", kUnsupported, "attn_logit_softcapping");
    refuses(R"({"text_config":{"rope_parameters":{"rope_theta":5e5}}})", kUnsupported, "rope_parameters have 'rope_theta'");
    refuses(R"({"text_config":{"hidden_activation":"silu"}})", kUnsupported, "'silu'");
    refuses(R"({"text_config":{"layer_types":["chunked_attention","full_attention"]}})", kUnsupported,
            "unknown type");
    refuses(R"({"text_config":{"per_layer_config":{"1":{"intermediate_size":32}}}})", kUnsupported,
            "intermediate_size");
}

TEST_CASE("nonsense in config.json is refused") {
    for (const char* key : {"hidden_size", "intermediate_size", "vocab_size", "num_attention_heads",
                            "num_hidden_layers", "num_key_value_heads"}) {
        refuses((std::string(R"({"text_config":{")") + key + "\":0}}").c_str(), kBad, "0");
        refuses((std::string(R"({"text_config":{")") + key + "\":\"8\"}}").c_str(), kBad, key);
        refuses((std::string(R"({"text_config":{")") + key + "\":2.5}}").c_str(), kBad, key);
        refuses((std::string(R"({"text_config":{")") + key + "\":18446744073709551615}}").c_str(), kBad, key);
    }
    refuses(R"({"text_config":{"num_hidden_layers":2000000000}})", kBad, "1 to 1024");
    refuses(R"({"text_config":{"num_hidden_layers":3}})", kBad, "layer_types has 2 entries for 3 layers");
    refuses(R"({"text_config":{"num_attention_heads":3}})", kBad, "3 heads cannot share");
    refuses(R"({"text_config":{"head_dim":5}})", kBad, "is odd: 5");
    refuses(R"({"text_config":{"sliding_window":0}})", kBad, "the sliding window is 0");
    refuses(R"({"text_config":{"rms_norm_eps":0}})", kBad, "epsilon");
    refuses(R"({"text_config":{"hidden_size":2000000000}})", kBad, "the hidden size is 2000000000");
    refuses(R"({"text_config":{"per_layer_config":{"7":{"head_dim":8}}}})", kBad, "bad entry '7'");
    refuses(R"({"text_config":{"per_layer_config":{"-1":{"head_dim":8}}}})", kBad, "bad entry '-1'");
    refuses(R"({"text_config":{"per_layer_config":{"0":8}}})", kBad, "bad entry '0'");
    refuses(R"({"text_config":[]})", kBad, "text_config");
    refuses(R"({"vision_config":3})", kBad, "vision_config");
    refuses(R"({"vision_config":{"model_patch_size":5}})", kBad, "is not 2 patches of 2");
    refuses(
        R"({"vision_config":{"patch_size":2000000000,"pooling_kernel_size":2000000000,"model_patch_size":null}})",
        kBad, "the patch size");
    refuses(R"({"audio_config":{"audio_embed_dim":0}})", kBad, "samples of a soft token is 0");
    refuses(R"({"image_token_id":292})", kBad, "the image id is 292");
    refuses(R"({"audio_config":{"hidden_size":20}})", kBad, "expected 10 as audio_embed_dim");
    refuses(R"({"eos_token_id":"x"})", kBad, "eos_token_id");
}

TEST_CASE("the other JSON files are checked too") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    const auto with = [&](const char* name, const char* text, Errc code, const std::string& words) {
        folder.write(name, text);
        refused(load(folder.path()), code, words);
        fs::remove(folder.path() / name);
    };
    with("generation_config.json", R"({"pad_token_id":"none"})", kBad, "pad_token_id");
    with("generation_config.json", "", kBad, "generation_config.json");
    with("processor_config.json", R"({"video_processor":{"num_frames":-1}})", kBad, "num_frames is '-1'");
    with("preprocessor_config.json", "{", kBad, "preprocessor_config.json");
    with("chat_template.json", "[]", kBad, "chat_template.json");
    with("tokenizer.json", "{", kBad, "tokenizer.json");
    with("config.json", "", kBad, "config.json");
    with("config.json", "[1]", kBad, "is not a JSON object");
    fs::create_directory(folder.path() / "config.json");
    refused(load(folder.path()), kBad, "is not a regular file");
}

TEST_CASE("weights or configuration alone are no model") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    fs::rename(folder.path() / "model.safetensors", folder.path() / "x");
    refused(load(folder.path()), kMissing, "holds a configuration without weights");
    fs::rename(folder.path() / "x", folder.path() / "model.safetensors");
    fs::remove(folder.path() / "config.json");
    refused(load(folder.path()), kMissing, "has weights but no config.json");
}

TEST_CASE("tensor names of older and newer versions") {
    const ScratchFolder folder;
    json config = json::parse(test::small_config_json());
    config.erase("vision_config");
    config.erase("audio_config");
    folder.write("config.json", config.dump());
    for (const char* prefix :
         {"model.language_model.", "language_model.model.", "language_model.", "model.", ""}) {
        CAPTURE(prefix);
        SafetensorsBuilder b = test::small_safetensors(prefix);
        b.floats("lm_head.weight", {test::kSmallVocab, 8}, 0.5f);  // a copy of the embedding
        folder.write("model.safetensors", b.build());
        const auto model = load(folder.path());
        if (!model) FAIL(model.error().message);
        CHECK(model->weights.layers[1].down.cols == 16);
        CHECK(model->metadata.back() ==
              std::pair<std::string, std::string>("unused tensors", "lm_head.weight"));
    }
}

TEST_CASE("an output head is the embedding, or refused") {
    const ScratchFolder folder;
    json untied = json::parse(test::small_config_json());
    untied["tie_word_embeddings"] = false;
    const auto with = [&](const json& config, const std::function<void(SafetensorsBuilder&)>& change) {
        SafetensorsBuilder b = test::small_safetensors();
        test::add_small_media(b);
        change(b);
        folder.write("model.safetensors", b.build());
        folder.write("config.json", config.dump());
        return load(folder.path());
    };
    const json tied = json::parse(test::small_config_json());
    for (const json& config : {tied, untied}) {
        CHECK(with(config, [](auto& b) { b.floats("lm_head.weight", {test::kSmallVocab, 8}, 0.5f); }));
        refused(with(config, [](auto& b) { b.floats("language_model.lm_head.weight", {test::kSmallVocab, 8}, 0.25f); }),
                kUnsupported, "'language_model.lm_head.weight' in");
        refused(with(config, [](auto& b) { b.floats("lm_head.weight", {test::kSmallVocab, 4}, 0.5f); }), kUnsupported,
                "an output head of its own");
    }
    refused(with(untied, [](auto&) {}), kUnsupported, "no tensor lm_head.weight is there");
}

TEST_CASE("ids that no token has refuse nothing") {
    json config = json::parse(test::small_config_json());
    config["eos_token_id"] = {1, 292, 5};
    const LoadedModel model = loads(config);
    CHECK(model.config.stop_ids == std::vector<int32_t>{1, 5});
    REQUIRE(model.notes.size() == 1);
    CHECK(model.notes[0].find("eos_token_id names 292") != std::string::npos);
}

TEST_CASE("sizes that are absent have the defaults of their class, and keys without use are named") {
    json config = json::parse(test::small_config_json());
    config["text_config"].erase("vocab_size");
    const ScratchFolder folder;
    test::write_small_folder(folder, config.dump());
    refused(load(folder.path()), kBad, "the configuration asks for [262144, 8]");

    config = json::parse(test::small_config_json());
    config["text_config"]["query_scale"] = 3;
    config["text_config"]["attention_dropout"] = 0.1;
    config["text_config"]["moe_intermediate_size"] = nullptr;
    config["vision_config"]["sharpness"] = true;
    config["somebody"] = "x";
    std::string notes;
    for (const std::string& note : loads(config).notes) notes += note + "\n";
    CHECK(notes.find("text_config: 'query_scale' is not used") != std::string::npos);
    CHECK(notes.find("vision_config: 'sharpness' is not used") != std::string::npos);
    CHECK(notes.find("config.json': 'somebody' is not used") != std::string::npos);
    CHECK(loads(json::parse(test::small_config_json())).notes.empty());
    CHECK(load_model({.model = kTiny})->notes.empty());
}

TEST_CASE("a chat template that the renderer does not write is named, wherever it lies") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    const auto noted = [&] {
        const auto model = load(folder.path());
        REQUIRE(model);
        return !model->notes.empty() && model->notes.back().find("chat template") != std::string::npos;
    };
    CHECK_FALSE(noted());
    folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"},
                                              {"name": "default", "template": "{{ x }}"}]})");
    CHECK(noted());
    CHECK(load(folder.path())->chat_template == "{{ x }}");
    folder.write("chat_template.json", R"({"chat_template": "{{ y }}"})");
    CHECK(load(folder.path())->chat_template == "{{ y }}");
    folder.write("chat_template.jinja", test::read_file(kTiny / "chat_template.jinja"));
    CHECK_FALSE(noted());
}

TEST_CASE("vision parts nested under embed_vision") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    std::string file = test::read_file(folder.path() / "model.safetensors");
    std::string header = file.substr(8, file.find("}}") + 2 - 8);
    const std::string data = file.substr(8 + header.size());
    const auto replace = [&](const std::string& from, const std::string& to) {
        for (size_t at = header.find(from); at != std::string::npos; at = header.find(from, at + to.size()))
            header.replace(at, from.size(), to);
    };
    replace("model.vision_embedder.", "model.embed_vision.");
    replace("model.embed_vision.embedding_projection",
            "model.embed_vision.multimodal_embedder.embedding_projection");
    folder.write("model.safetensors", test::safetensors_file(header, data));
    const auto model = load(folder.path());
    if (!model) FAIL(model.error().message);
    CHECK(model->weights.vision.projection.cols == 6);
    CHECK(host_floats(model->weights.vision.pos_x, 4)[5] == 45.0f);
}

TEST_CASE("tensors that are missing, doubled or too many are named") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    const auto with = [&](const std::function<void(SafetensorsBuilder&)>& change, Errc code,
                          const std::string& words) {
        SafetensorsBuilder b = test::small_safetensors();
        test::add_small_media(b);
        change(b);
        folder.write("model.safetensors", b.build());
        refused(load(folder.path()), code, words);
    };
    with([](auto& b) { b.floats("model.layers.0.layer_scalar", {1}, 1); }, kBad,
         "are the same part of the model");
    with(
        [](auto& b) {
            b.floats("model.language_model.layers.1.self_attn.v_proj.weight", {8, 8}, 1);
        },
        kUnsupported, "layers.1.self_attn.v_proj.weight");
    with(
        [](auto& b) {
            b.floats("model.language_model.layers.0.per_layer_input_gate.weight", {4, 8}, 1);
        },
        kUnsupported, "per_layer_input_gate");
    with(
        [](auto& b) {
            b = SafetensorsBuilder();
            b.floats("x", {1}, 1);
        },
        kBad, "'embed_tokens.weight' is missing");
    folder.write("model.safetensors", test::small_safetensors().build());
    refused(load(folder.path()), kBad, "'vision_embedder.patch_ln1.weight' is missing");
}

TEST_CASE("a matrix that its file does not align is copied") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    SafetensorsBuilder b;
    b.tensor("odd", "BF16", {1}, "xy");  // shifts everything behind it by two bytes
    b.append(test::small_safetensors());
    test::add_small_media(b);
    folder.write("model.safetensors", b.build());
    const auto model = load(folder.path());
    if (!model) FAIL(model.error().message);
    const TensorView& gate = model->weights.layers[0].gate;
    CHECK(reinterpret_cast<uintptr_t>(host_bytes(gate)) % 4 == 0);
    CHECK(host_floats(gate, 15)[7] == 0.5f);
}

TEST_CASE("the bundled model, saved in two shards, is the same model") {
    const ScratchFolder folder;
    for (const char* name : {"config.json", "generation_config.json", "processor_config.json",
                             "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"})
        fs::copy(kTiny / name, folder.path() / name);
    const std::string file = test::read_file(kTiny / "model.safetensors");
    const size_t header_bytes = 14880;
    const json header = json::parse(file.substr(8, header_bytes));
    SafetensorsBuilder shards[2];
    json index;
    int count = 0;
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") continue;
        const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
        const int shard = count++ % 2;
        shards[shard].tensor(name, entry["dtype"], entry["shape"].get<std::vector<int64_t>>(),
                             file.substr(8 + header_bytes + begin, end - begin));
        index["weight_map"][name] = "part-" + std::to_string(shard) + ".safetensors";
    }
    for (int i = 0; i < 2; i++) folder.write("part-" + std::to_string(i) + ".safetensors", shards[i].build());
    folder.write("model.safetensors.index.json", index.dump());
    const auto one = load(kTiny), two = load(folder.path());
    if (!two) FAIL(two.error().message);
    CHECK(two->files.size() == 2);
    CHECK(two->weights.bytes == one->weights.bytes);
    for (size_t i = 0; i < 8; i++) {
        const auto &a = one->weights.layers[i].down, &b = two->weights.layers[i].down;
        CHECK(std::string_view(reinterpret_cast<char*>(host_bytes(a)), static_cast<size_t>(a.bytes())) ==
              std::string_view(reinterpret_cast<char*>(host_bytes(b)), static_cast<size_t>(b.bytes())));
        CHECK(one->weights.layers[i].scale == two->weights.layers[i].scale);
    }
    CHECK(*one->vocabulary == *two->vocabulary);
}

TEST_CASE("random damage gives a model or one error, never a crash") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    const std::string config = test::small_config_json(),
                      weights = test::read_file(folder.path() / "model.safetensors");
    const size_t header = 8 + weights.find("}}") + 2 - 8;
    std::mt19937 random(20261124);
    int errors = 0;
    for (int round = 0; round < 3000; round++) {
        const bool in_config = round % 2 == 0;
        std::string damaged = in_config ? config : weights;
        const size_t flips = 1 + random() % 3;
        const size_t reach = in_config ? config.size() : header;  // the data may hold anything
        for (size_t i = 0; i < flips; i++) damaged[random() % reach] ^= static_cast<char>(1u << random() % 8);
        folder.write("config.json", in_config ? damaged : config);
        folder.write("model.safetensors", in_config ? weights : damaged);
        const auto loaded = load(folder.path());
        if (loaded) continue;
        errors++;
        const Errc code = loaded.error().code;
        REQUIRE((code == kBad || code == kUnsupported || code == kMissing));
        REQUIRE_FALSE(loaded.error().message.empty());
    }
    CHECK(errors > 1500);
}

TEST_CASE("a projector for a folder is refused") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    const auto loaded = load_model({.model = folder.path(), .mmproj = "x.gguf"});
    refused(loaded, Errc::invalid_argument, "brings its own");
}
