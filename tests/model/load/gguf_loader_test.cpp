// GGUF models with their projectors: where they are found, what is read from their keys, and what is refused.
#include "model/load/gguf_loader.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <random>

#include "runtime/memory/host_access.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::bytes_of;
using lapidary::test::GgufBuilder;
using lapidary::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

Result<LoadedModel> load(const fs::path& path, const fs::path& mmproj = {}) {
    return load_model({.model = path, .mmproj = mmproj});
}

void refused(const Result<LoadedModel>& loaded, Errc code, const std::string& words) {
    CAPTURE(words);
    REQUIRE_FALSE(loaded);
    CAPTURE(loaded.error().message);
    CHECK(loaded.error().code == code);
    CHECK(loaded.error().message.find(words) != std::string::npos);
}

void refuses(const std::function<void(GgufBuilder&)>& change, Errc code, const std::string& words) {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    change(b);
    refused(load(folder.write("a.gguf", b.build())), code, words);
}

void refuses_projector(const std::function<void(GgufBuilder&)>& change, Errc code, const std::string& words) {
    const ScratchFolder folder;
    GgufBuilder b = test::small_projector();
    change(b);
    const auto model = folder.write("a.gguf", test::small_gguf().build());
    refused(load(model, folder.write("p.gguf", b.build())), code, words);
}

constexpr Errc kBad = Errc::bad_model_file, kUnsupported = Errc::unsupported_model,
               kMissing = Errc::model_not_found;

}  // namespace

TEST_CASE("the small model loads") {
    const ScratchFolder folder;
    const auto model = load(folder.write("a.gguf", test::small_gguf().build()));
    if (!model) FAIL(model.error().message);
    const ModelConfig& c = model->config;
    CHECK(c.name == "small");
    CHECK(c.layers[0].kind == LayerKind::sliding);
    CHECK_FALSE(c.layers[0].k_eq_v);
    CHECK(c.layers[1].k_eq_v);
    CHECK(c.full_rope.pairs == 1);
    CHECK(c.sliding_rope.pairs == 2);
    CHECK(c.ids.begin_image == 6);
    CHECK(c.ids.video == 12);
    CHECK(c.stop_ids == std::vector<int32_t>{1, 5, 13});
    CHECK(c.suppress_ids == std::vector<int32_t>{8, 11});
    CHECK(c.sampling.temperature == 1.0f);  // the published default
    CHECK(model->weights.layers[0].scale == 0.25f);
    CHECK(host_floats(model->weights.layers[0].gate, 15)[7] == 0.5f);
    REQUIRE(model->vocabulary);
    CHECK(model->vocabulary->size() == test::kSmallVocab);
    CHECK_FALSE(c.vision);
}

TEST_CASE("optional parts of the text file") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    b.drop("blk.0.layer_output_scale.weight").drop("blk.1.layer_output_scale.weight");
    b.remove("gemma4.final_logit_softcapping").u32("gemma4.attention.head_count_kv", 1);
    b.u32("tokenizer.ggml.eos_token_id", 5).u32("tokenizer.ggml.unused_key", 1);
    for (const char* name : {"blk.0.attn_k.weight", "blk.0.attn_v.weight"}) {
        b.drop(name).floats(name, {8, 4}, 0.5f);
    }
    b.floats("some.other.weight", {3}, 1);
    const auto model = load(folder.write("a.gguf", b.build()));
    if (!model) FAIL(model.error().message);
    CHECK(model->weights.layers[0].scale == 1.0f);
    CHECK(model->config.soft_cap == 30.0f);
    CHECK(model->config.layers[0].kv_heads == 1);
    CHECK(model->config.stop_ids == std::vector<int32_t>{5, 1, 13});
    bool listed = false;
    for (const auto& [key, value] : model->metadata)
        listed |= key == "unused tensors" && value == "some.other.weight";
    CHECK(listed);
}

TEST_CASE("the window pattern may be a period or absent") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    b.u32("gemma4.attention.sliding_window_pattern", 2);
    auto model = load(folder.write("a.gguf", b.build()));
    REQUIRE(model);
    CHECK(model->config.layers[0].kind == LayerKind::sliding);
    CHECK(model->config.layers[1].kind == LayerKind::full);
    b.remove("gemma4.attention.sliding_window_pattern");
    model = load(folder.write("a.gguf", b.build()));
    REQUIRE(model);
    CHECK(model->config.layers[0].kind == LayerKind::sliding);
    CHECK(model->config.layers[1].kind == LayerKind::full);
}

TEST_CASE("a foreign tokenizer leaves the model usable by ids") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    b.text("tokenizer.ggml.model", "llama");
    const auto model = load(folder.write("a.gguf", b.build()));
    REQUIRE(model);
    CHECK_FALSE(model->vocabulary);
    CHECK(model->vocabulary_problem.find("'llama'") != std::string::npos);
}

TEST_CASE("what a projector brings") {
    const ScratchFolder folder;
    const auto model = load(folder.write("model.gguf", test::small_gguf().build()),
                            folder.write("any name", test::small_projector().build()));
    if (!model) FAIL(model.error().message);
    REQUIRE(model->config.vision);
    const VisionConfig& vision = *model->config.vision;
    CHECK(vision.planar);
    CHECK(vision.model_patch == 4);
    CHECK(vision.embed_dim == 6);
    CHECK(vision.positions == 5);
    CHECK(vision.soft_tokens == 280);  // a projector does not say
    CHECK(vision.video_soft_tokens == 70);
    REQUIRE(model->config.audio);
    CHECK(model->config.audio->samples_per_token == 10);
    CHECK(host_floats(model->weights.vision.pos_x, 4)[5] == 45.0f);
    CHECK(host_floats(model->weights.vision.pos_y, 3)[2] == 132.0f);
    CHECK(model->weights.vision.dense.cols == 48);
    CHECK(model->weights.audio.projection.rows == 8);
    CHECK(model->files.size() == 2);
}

TEST_CASE("a projector may have one of its two parts") {
    const ScratchFolder folder;
    const auto path = folder.write("model.gguf", test::small_gguf().build());
    GgufBuilder b = test::small_projector();
    const auto sound = load(path, folder.write("p", b.boolean("clip.has_vision_encoder", false).build()));
    REQUIRE(sound);
    CHECK_FALSE(sound->config.vision);
    CHECK(sound->config.audio);
    b.remove("clip.has_audio_encoder").boolean("clip.has_vision_encoder", true);
    const auto pictures = load(path, folder.write("p", b.build()));
    REQUIRE(pictures);
    CHECK(pictures->config.vision);
    CHECK_FALSE(pictures->config.audio);
}

TEST_CASE("projectors that do not fit are refused") {
    refuses_projector([](auto& b) { b.text("clip.vision.projector_type", "gemma3"); }, kUnsupported,
                      "'gemma3'");
    refuses_projector([](auto& b) { b.text("clip.audio.projector_type", "ultravox"); }, kUnsupported,
                      "'ultravox'");
    refuses_projector([](auto& b) { b.remove("clip.vision.projector_type"); }, kUnsupported,
                      "vision type is ''");
    refuses_projector([](auto& b) { b.text("general.architecture", "gemma4"); }, kUnsupported,
                      "this is no projector");
    refuses_projector(
        [](auto& b) { b.boolean("clip.has_vision_encoder", false).boolean("clip.has_audio_encoder", false); },
        kUnsupported, "neither vision nor audio");
    refuses_projector([](auto& b) { b.drop("v.patch_norm.2.bias"); }, kBad,
                      "'v.patch_norm.2.bias' is missing");
    refuses_projector([](auto& b) { b.drop("v.patch_embd.weight"); }, kBad,
                      "'v.patch_embd.weight' is missing");
    refuses_projector(
        [](auto& b) {
            b.drop("v.position_embd.weight").floats("v.position_embd.weight", {6, 2, 5}, 1);
        },
        kBad, "has shape [5, 2, 6], the configuration asks for [2, 2, 6]");
    refuses_projector([](auto& b) { b.u32("clip.vision.patch_size", 3); }, kBad, "asks for [108]");
    refuses_projector([](auto& b) { b.u32("clip.vision.patch_size", 0); }, kBad, "the patch size is 0");
    refuses_projector([](auto& b) { b.u32("clip.vision.projector.scale_factor", 4000000000u); }, kBad,
                      "32 bits");
    refuses_projector(
        [](auto& b) {
            b.drop("mm.input_projection.weight").floats("mm.input_projection.weight", {6, 9}, 1);
        },
        kBad, "[8, 6]");
}

TEST_CASE("what is not a text model is named") {
    refuses([](auto& b) { b.text("general.architecture", "llama"); }, kUnsupported,
            "architecture is 'llama'");
    refuses([](auto& b) { b.text("general.architecture", "gemma3"); }, kUnsupported,
            "architecture is 'gemma3'");
    refuses([](auto& b) { b.remove("general.architecture"); }, kBad, "general.architecture is missing");
    refuses([](auto& b) { b.text("general.architecture", "clip"); }, kUnsupported, "this is a projector");
    for (const char* drafter : {"gemma4-assistant", "gemma4_assistant", "gemma4_mtp"})
        refuses([&](auto& b) { b.text("general.architecture", drafter); }, kUnsupported, "this is a drafter");
    refuses([](auto& b) { b.u32("gemma4.embedding_length_per_layer_input", 256); }, kUnsupported, "E4B");
    refuses([](auto& b) { b.u32("gemma4.expert_count", 128); }, kUnsupported, "mixture of 128 experts");
    refuses([](auto& b) { b.u32("gemma4.attention.shared_kv_layers", 20); }, kUnsupported,
            "share keys and values");
    refuses(
        [](auto& b) {
            b.ints("gemma4.feed_forward_length", {16, 32});
        },
        kUnsupported, "layer 1 has another");
    refuses(
        [](auto& b) {
            b.floats("blk.0.inp_gate.weight", {8, 4}, 1);
        },
        kUnsupported, "'blk.0.inp_gate.weight'");
    refuses(
        [](auto& b) {
            b.floats("blk.2.attn_q.weight", {8, 8}, 1);
        },
        kUnsupported, "'blk.2.attn_q.weight'");
    refuses([](auto& b) { b.u32("gemma4.rope.dimension_count", 4); }, kUnsupported, "rope.dimension_count");
    refuses([](auto& b) { b.text("gemma4.rope.scaling.type", "yarn"); }, kUnsupported, "'yarn'");
    refuses([](auto& b) { b.u32("gemma4.attention.value_length", 4); }, kUnsupported, "different head sizes");
}

TEST_CASE("missing keys are named") {
    for (const char* key :
         {"block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
          "attention.sliding_window"})
        refuses([&](auto& b) { b.remove(std::string("gemma4.") + key); }, kBad, key);
    refuses([](auto& b) { b.remove("tokenizer.ggml.tokens"); }, kBad, "tokenizer.ggml.tokens is missing");
    refuses([](auto& b) { b.remove("tokenizer.ggml.merges"); }, kBad, "tokenizer.ggml.merges is missing");
}

TEST_CASE("keys of the wrong type or value are named") {
    refuses([](auto& b) { b.text("gemma4.block_count", "2"); }, kBad,
            "gemma4.block_count is '2', expected a whole");
    refuses([](auto& b) { b.u32("gemma4.block_count", 0); }, kBad, "gemma4.block_count");
    refuses([](auto& b) { b.u32("gemma4.block_count", 4000000000u); }, kBad, "gemma4.block_count");
    refuses([](auto& b) { b.u32("gemma4.block_count", 1000000); }, kBad, "expected 1 to 1024");
    refuses([](auto& b) { b.u32("gemma4.block_count", 3); }, kBad, "each of the 3 layers");
    refuses([](auto& b) { b.u32("gemma4.attention.head_count", 0); }, kBad, "the number of heads is 0");
    refuses([](auto& b) { b.u32("gemma4.attention.head_count", 3); }, kBad,
            "3 heads cannot share the 2 key heads");
    refuses(
        [](auto& b) {
            b.ints("gemma4.attention.head_count_kv", {0, 1});
        },
        kBad, "key heads of layer 0 is 0");
    refuses([](auto& b) { b.ints("gemma4.attention.head_count_kv", {2}); }, kBad, "each of the 2 layers");
    refuses([](auto& b) { b.u32("gemma4.attention.sliding_window", 0); }, kBad, "the sliding window is 0");
    refuses([](auto& b) { b.u32("gemma4.context_length", 0); }, kBad, "the context length is 0");
    refuses([](auto& b) { b.f32("gemma4.attention.layer_norm_rms_epsilon", 0); }, kBad, "epsilon");
    refuses([](auto& b) { b.f32("gemma4.final_logit_softcapping", -1); }, kBad, "soft cap");
    refuses([](auto& b) { b.f32("gemma4.final_logit_softcapping", NAN); }, kBad, "a finite number");
    refuses([](auto& b) { b.f32("gemma4.rope.freq_base", 0); }, kBad, "rotary base");
    refuses([](auto& b) { b.text("gemma4.attention.sliding_window_pattern", "x"); }, kBad,
            "sliding_window_pattern");
    refuses([](auto& b) { b.bools("gemma4.attention.sliding_window_pattern", {true}); }, kBad,
            "each of the 2 layers");
    refuses([](auto& b) { b.text("tokenizer.ggml.eot_token_id", "106"); }, kBad, "expected a token id");
    refuses([](auto& b) { b.text("tokenizer.ggml.suppress_tokens", "8"); }, kBad, "a list of whole numbers");
    refuses([](auto& b) { b.ints("tokenizer.ggml.tokens", {1}); }, kBad, "a list of texts");
    refuses(
        [](auto& b) {
            auto pieces = test::small_pieces();
            std::vector<int32_t> types(pieces.size() + 1, 1);
            for (size_t i = 14; i < 270; i++) types[i] = 6;
            pieces.push_back("one too many");
            b.strings("tokenizer.ggml.tokens", pieces).ints("tokenizer.ggml.token_type", types);
        },
        kBad, "293 pieces, the embedding only 292 rows");
}

TEST_CASE("keys with a default of the format may be absent") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    b.remove("gemma4.attention.head_count_kv");  // as many as there are heads
    for (const int layer : {0, 1}) {
        const std::string p = "blk." + std::to_string(layer) + ".";
        b.drop(p + "attn_k.weight").floats(p + "attn_k.weight", {8, layer == 0 ? 8u : 16u}, 0.5f);
    }
    b.drop("blk.0.attn_v.weight").floats("blk.0.attn_v.weight", {8, 8}, 0.5f);
    const auto model = load(folder.write("a.gguf", b.build()));
    if (!model) FAIL(model.error().message);
    CHECK(model->config.layers[0].kv_heads == 2);
    CHECK(model->config.layers[1].kv_heads == 2);
    b.remove("gemma4.attention.key_length");  // 8 / 2, which the tensors of the full layer contradict
    refused(load(folder.write("a.gguf", b.build())), kUnsupported, "different head sizes");
}

TEST_CASE("ids outside the vocabulary count as absent") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    const std::string t = "tokenizer.ggml.";
    b.u32(t + "bos_token_id", 292).u32(t + "eos_token_id", 4000).u32(t + "padding_token_id", UINT32_MAX);
    b.u32(t + "unknown_token_id", 1u << 31).u32(t + "eot_token_id", 292).ints(t + "suppress_tokens", {-3, 8, 292});
    const auto model = load(folder.write("a.gguf", b.build()));
    if (!model) FAIL(model.error().message);
    CHECK(model->config.ids.bos == 2);  // its piece shows it
    CHECK(model->config.ids.pad == 0);
    CHECK(model->config.stop_ids == std::vector<int32_t>{1, 5, 13});
    CHECK(model->config.suppress_ids == std::vector<int32_t>{8, 11});
    REQUIRE(model->vocabulary);
    CHECK(model->vocabulary->special.bos == 2);
    CHECK(model->vocabulary->special.unk == -1);
    std::string notes;
    for (const auto& note : model->notes) notes += note + "\n";
    CHECK(notes ==
          "'tokenizer.ggml.bos_token_id' is 292, outside the 292 tokens of the model; it is not used\n"
          "'tokenizer.ggml.eos_token_id' is 4000, outside the 292 tokens of the model; it is not used\n"
          "'tokenizer.ggml.eot_token_id' is 292, outside the 292 tokens of the model; it is not used\n"
          "'tokenizer.ggml.suppress_tokens' names 2 ids outside the 292 tokens of the model; they are not used\n"
          "'tokenizer.ggml.unknown_token_id' is 2147483648, outside the 292 tokens of the model; it is not used\n");
}

TEST_CASE("ids that end a turn or a message end the reply") {
    const ScratchFolder folder;
    for (const char* key : {"eot_token_id", "eom_token_id", "fim_pad_token_id", "fim_rep_token_id", "fim_sep_token_id"}) {
        CAPTURE(key);
        GgufBuilder b = test::small_gguf();
        b.u32(std::string("tokenizer.ggml.") + key, 280);
        const auto model = load(folder.write("a.gguf", b.build()));
        REQUIRE(model);
        CHECK(model->config.stop_ids == std::vector<int32_t>{1, 280, 5, 13});
        CHECK(model->notes.empty());
    }
}

TEST_CASE("top_k below 0 means off") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    b.raw("general.sampling.top_k", 5, bytes_of(-1));
    const auto model = load(folder.write("a.gguf", b.build()));
    REQUIRE(model);
    CHECK(model->config.sampling.top_k == 0);
}

TEST_CASE("without token types the texts tell") {
    const ScratchFolder folder;
    const auto with = load(folder.write("a.gguf", test::small_gguf().build()));
    GgufBuilder b = test::small_gguf();
    b.remove("tokenizer.ggml.token_type");
    const auto without = load(folder.write("a.gguf", b.build()));
    if (!without) FAIL(without.error().message);
    REQUIRE(with);
    CHECK(*without->vocabulary == *with->vocabulary);
    CHECK(without->notes.size() == 1);
}

TEST_CASE("undefined types are ordinary tokens") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    std::vector<int32_t> types(test::kSmallVocab, 0);
    for (int i = 0; i < 14; i++) types[i] = 3;
    b.ints("tokenizer.ggml.token_type", types);
    const auto model = load(folder.write("a.gguf", b.build()));
    if (!model) FAIL(model.error().message);
    CHECK(model->vocabulary->types[291] == TokenType::normal);
}

TEST_CASE("the name that Ollama's converter gives the tokenizer is known") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    b.text("tokenizer.ggml.model", "llama").text("tokenizer.ggml.pre", "gemma4");
    const auto model = load(folder.write("a.gguf", b.build()));
    REQUIRE(model);
    CHECK(model->vocabulary);
    b.boolean("tokenizer.ggml.normalizer.lowercase", true);
    const auto lower = load(folder.write("a.gguf", b.build()));
    REQUIRE(lower);
    CHECK_FALSE(lower->vocabulary);
    CHECK(lower->vocabulary_problem.find("lowers capitals") != std::string::npos);
}

TEST_CASE("a head of its own is refused, a copy of the embedding accepted") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    GgufBuilder::Tensor head = *b.find("token_embd.weight");
    head.name = "output.weight";
    b.tensors.push_back(head);
    const auto same = load(folder.write("a.gguf", b.build()));
    if (!same) FAIL(same.error().message);
    CHECK(same->notes.empty());
    CHECK(same->weights.bytes == load(folder.write("b.gguf", test::small_gguf().build()))->weights.bytes);

    b.tensors.back().data[5] ^= 1;
    refused(load(folder.write("a.gguf", b.build())), kUnsupported, "'output.weight' in");
    refuses([](auto& other) { other.floats("output.weight", {8, 292}, 0); }, kUnsupported,
            "an output head of its own (f32 [292, 8], the embedding is f16 [292, 8])");
    refuses([](auto& other) { other.tensors.push_back({"output.weight", {256, 3}, 16, std::string(200, 'x')}); }, kUnsupported,
            "its own (iq2_xxs");
    refuses([](auto& other) { other.floats("output.bias", {292}, 0); }, kUnsupported, "'output.bias'");
}

TEST_CASE("what is not needed never refuses") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    b.tensors.push_back({"some.steps", {3}, 27, std::string(24, '\1')});
    b.tensors.push_back({"some.ternary", {256}, 34, std::string(54, '\1')});
    b.tensors.push_back({"some.future", {5}, 77, "xy"});
    b.tensors.push_back({"blk.0.empty", {0}, 0, ""});
    b.array("vendor.nested", GgufBuilder::kArray, 0, "").u32(std::string(60000, 'k'), 1);
    const auto model = load(folder.write("a.gguf", b.build()));
    if (!model) FAIL(model.error().message);
    CHECK(model->notes.size() == 1);
    CHECK(model->notes[0].find("4 tensors of the file are not used: 'some.steps', 'some.ternary'") == 0);
    for (const auto& tensor : model->tensors) CHECK(tensor.used == (tensor.name.find("some.") && tensor.name != "blk.0.empty"));
}

TEST_CASE("a type that is not read is named, with the tensor that has it") {
    const std::pair<uint32_t, const char*> types[] = {{24, "'i8'"},     {28, "'f64'"},   {16, "'iq2_xxs'"}, {34, "'tq1_0'"},
                                                      {39, "'mxfp4'"}, {40, "'nvfp4'"}, {77, "'number 77'"}};
    for (const auto& [number, name] : types) {
        refuses([&, &n = number](auto& b) { b.find("blk.1.ffn_up.weight")->type = n; }, kUnsupported,
                "tensor 'blk.1.ffn_up.weight' in ");
        refuses([&, &n = number](auto& b) { b.find("rope_freqs.weight")->type = n; }, kBad, "rope_freqs.weight");
        refuses([&, &n = number](auto& b) { b.find("token_embd.weight")->type = n; }, kUnsupported,
                std::string("has the type ") + name + ", which is not supported");
    }
}

TEST_CASE("odd head sizes are refused") {
    refuses(
        [](auto& b) {
            for (const char* key :
                 {"attention.key_length_swa", "attention.value_length_swa", "rope.dimension_count_swa"})
                b.u32(std::string("gemma4.") + key, 5);
        },
        kBad, "is odd: 5");
}

TEST_CASE("tensors that are missing or of another shape are named") {
    const ScratchFolder folder;
    for (const auto& tensor : test::small_gguf().tensors) {
        if (tensor.name.find("layer_output_scale") != std::string::npos) continue;  // optional
        CAPTURE(tensor.name);
        GgufBuilder dropped = test::small_gguf();
        dropped.drop(tensor.name);
        const auto without = load(folder.write("a.gguf", dropped.build()));
        if (tensor.name == "blk.0.attn_v.weight") {  // its layer then takes the keys as values
            REQUIRE(without);
            CHECK(without->config.layers[0].k_eq_v);
        } else {
            refused(without, kBad, tensor.name);
        }
        GgufBuilder bent = test::small_gguf();
        bent.drop(tensor.name).floats(tensor.name, {5, 7}, 1);
        const auto loaded = load(folder.write("a.gguf", bent.build()));
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().code == kBad);
    }
}

TEST_CASE("rotation factors must be ones, then stops") {
    const auto with = [](std::vector<float> factors) {
        return [factors](GgufBuilder& b) {
            std::string data;
            for (const float factor : factors) data += bytes_of(factor);
            b.find("rope_freqs.weight")->data = data;
        };
    };
    refuses(with({1.0f, 2.0f, 1e30f, 1e30f}), kUnsupported, "factor 2.000000 at 1");
    refuses(with({1e30f, 1.0f, 1e30f, 1e30f}), kUnsupported, "factor 1.000000 at 1");
    refuses(with({1.0f, NAN, 1e30f, 1e30f}), kUnsupported, "at 1");
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    with({1.0f, 1.0f, 1.0f, 1.0f})(b);
    const auto all = load(folder.write("a.gguf", b.build()));
    REQUIRE(all);
    CHECK(all->config.full_rope.pairs == 4);
}

TEST_CASE("norms must not be quantised") {
    refuses(
        [](auto& b) {
            b.u32("gemma4.embedding_length", 32);
            b.drop("token_embd.weight").floats("token_embd.weight", {32, 292}, 1);
            b.drop("output_norm.weight");
            b.tensors.push_back({"output_norm.weight", {32}, 8, std::string(34, '\0')});
        },
        kUnsupported, "'output_norm.weight' is quantised to q8_0");
}

TEST_CASE("paths that hold no model") {
    const ScratchFolder folder;
    refused(load(""), kMissing, "no model was named");
    refused(load(folder.path() / "none.gguf"), kMissing, "there is no model at");
    refused(load(folder.path()), kMissing, "holds no model");
    refused(load(folder.write("a.gguf", "")), kBad, "is empty");
    refused(load(folder.write("a.gguf", "this is a text\n")), kBad, "is not a GGUF file");
    refused(load(folder.write("a.safetensors", "x")), kBad, "one file of a Hugging Face folder");
    refused(load(folder.write("b.gguf", test::small_gguf().build()), folder.path() / "none"), kMissing,
            "none");
    CHECK(load(folder.path()));  // one of its files is a model
}

TEST_CASE("a folder with one split model is one model") {
    const ScratchFolder folder;
    for (int i = 0; i < 2; i++) {
        GgufBuilder part = test::small_gguf();
        std::vector<GgufBuilder::Tensor> own;
        for (size_t t = 0; t < part.tensors.size(); t++)
            if (static_cast<int>(t % 2) == i) own.push_back(part.tensors[t]);
        part.tensors = own;
        part.u32("split.no", static_cast<uint32_t>(i)).u32("split.count", 2);
        folder.write("m-0000" + std::to_string(i + 1) + "-of-00002.gguf", part.build());
    }
    const auto model = load(folder.path());
    if (!model) FAIL(model.error().message);
    CHECK(model->files.size() == 2);
    CHECK(model->weights.layers[1].q.rows == 16);
    fs::remove(folder.path() / "m-00001-of-00002.gguf");
    refused(load(folder.path()), kMissing, "part 1 of 2 is missing");
}

TEST_CASE("cut files never load") {
    const ScratchFolder folder;
    const GgufBuilder b = test::small_gguf();
    const std::string file = b.build();
    int loaded = 0;
    for (size_t size = 1; size < file.size() - 31; size += 41)
        if (load(folder.write("a.gguf", file.substr(0, size)))) loaded++;
    CHECK(loaded == 0);
}

TEST_CASE("random damage gives a model or one error, never a crash") {
    const ScratchFolder folder;
    const std::string text = test::small_gguf().build(), projector = test::small_projector().build();
    const auto model_path = folder.write("model.gguf", text),
               projector_path = folder.write("p.gguf", projector);
    std::mt19937 random(20261124);
    int errors = 0;
    for (int round = 0; round < 4000; round++) {
        const bool in_text = round % 4 != 0;
        std::string damaged = in_text ? text : projector;
        const size_t flips = 1 + random() % 4;
        for (size_t i = 0; i < flips; i++)
            damaged[random() % damaged.size()] ^= static_cast<char>(1u << random() % 8);
        folder.write(in_text ? "model.gguf" : "p.gguf", damaged);
        const auto loaded = load(model_path, projector_path);
        if (!in_text)
            folder.write("p.gguf", projector);
        else
            folder.write("model.gguf", text);
        if (loaded) continue;
        errors++;
        const Errc code = loaded.error().code;
        REQUIRE((code == kBad || code == kUnsupported || code == kMissing));
        REQUIRE_FALSE(loaded.error().message.empty());
    }
    CHECK(errors > 1000);  // most bytes of a file this small matter
}
