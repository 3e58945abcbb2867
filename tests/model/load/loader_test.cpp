// Whole models through load_model: the bundled Hugging Face folder, and GGUF files that llama.cpp's
// converter and quantiser wrote.
#include "model/load/loader.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <set>
#include <string>

#include "runtime/memory/host_access.h"

using namespace lapidary;
using namespace lapidary::model;
namespace fs = std::filesystem;

namespace {

const fs::path kSource = LAPIDARY_SOURCE_DIR;
const fs::path kTiny = kSource / "models" / "tiny";
const fs::path kPeer = kSource / "tests" / "data" / "peer";

LoadedModel load(const fs::path& path, bool weights = true) {
    auto loaded = load_model({.model = path, .mmproj = {}, .weights = weights});
    if (!loaded) FAIL(loaded.error().message);
    return std::move(*loaded);
}

void check_shape(const TensorView& view, int64_t rows, int64_t cols) {
    REQUIRE(view);
    CHECK(view.rows == rows);
    CHECK(view.cols == cols);
    CHECK(view.offset + static_cast<size_t>(view.bytes()) <= view.buffer->bytes);
}

void check_norm(const TensorView& view, int64_t count) {
    check_shape(view, 1, count);
    CHECK(view.format == runtime::Format::f32);
    for (int64_t i = 0; i < count; i++) REQUIRE(std::isfinite(host_floats(view)[i]));
}

// Every view is there, of the config's shape, and inside a buffer that the model keeps.
void check_weights(const LoadedModel& model) {
    const ModelConfig& c = model.config;
    const Weights& w = model.weights;
    check_shape(w.embed, c.vocab, c.hidden);
    check_norm(w.final_norm, c.hidden);
    REQUIRE(w.layers.size() == c.layers.size());
    std::set<const runtime::BufferData*> kept;
    for (const auto& buffer : w.buffers) kept.insert(buffer.get());
    CHECK(kept.count(w.embed.buffer) == 1);
    for (size_t i = 0; i < w.layers.size(); i++) {
        const LayerWeights& layer = w.layers[i];
        const LayerConfig& shape = c.layers[i];
        const int64_t q = c.heads * shape.head_dim, kv = shape.kv_heads * shape.head_dim;
        for (const auto& norm : {layer.attn_norm, layer.post_attn_norm, layer.ffn_norm, layer.post_ffn_norm})
            check_norm(norm, c.hidden);
        check_norm(layer.q_norm, shape.head_dim);
        check_norm(layer.k_norm, shape.head_dim);
        check_shape(layer.q, q, c.hidden);
        check_shape(layer.k, kv, c.hidden);
        if (shape.k_eq_v)
            CHECK_FALSE(layer.v);
        else
            check_shape(layer.v, kv, c.hidden);
        check_shape(layer.o, c.hidden, q);
        check_shape(layer.gate, c.ffn, c.hidden);
        check_shape(layer.up, c.ffn, c.hidden);
        check_shape(layer.down, c.hidden, c.ffn);
        CHECK(kept.count(layer.q.buffer) == 1);
        CHECK(kept.count(layer.attn_norm.buffer) == 1);
        CHECK(layer.scale > 0);
    }
}

}  // namespace

TEST_CASE("the bundled model's configuration") {
    const LoadedModel model = load(kTiny);
    const ModelConfig& c = model.config;
    CHECK(model.source == "hf");
    CHECK(c.hidden == 256);
    CHECK(c.ffn == 512);
    CHECK(c.vocab == 2048);
    CHECK(c.heads == 4);
    CHECK(c.context == 4096);
    CHECK(c.window == 128);
    CHECK(c.rms_eps == 1e-6f);
    CHECK(c.soft_cap == 30.0f);
    CHECK(c.vision_blocks);
    REQUIRE(c.layers.size() == 8);
    for (size_t i = 0; i < 8; i++) {
        const bool full = i == 5 || i == 7;
        CHECK(c.layers[i].kind == (full ? LayerKind::full : LayerKind::sliding));
        CHECK(c.layers[i].kv_heads == (full ? 1 : 2));
        CHECK(c.layers[i].head_dim == (full ? 128 : 64));
        CHECK(c.layers[i].k_eq_v == full);
    }
    CHECK(c.sliding_rope.theta == 10000.0);
    CHECK(c.sliding_rope.pairs == 32);
    CHECK(c.full_rope.theta == 1000000.0);
    CHECK(c.full_rope.pairs == 16);  // a quarter of 64
    REQUIRE(c.vision);
    CHECK(c.vision->patch_size == 16);
    CHECK(c.vision->pooling == 3);
    CHECK(c.vision->model_patch == 48);
    CHECK(c.vision->embed_dim == 256);
    CHECK(c.vision->positions == 128);
    CHECK(c.vision->soft_tokens == 70);
    CHECK(c.vision->video_soft_tokens == 70);
    CHECK_FALSE(c.vision->planar);
    REQUIRE(c.audio);
    CHECK(c.audio->samples_per_token == 640);
    CHECK(c.audio->sample_rate == 16000);
    CHECK(c.ids.bos == 2);
    CHECK(c.ids.pad == 0);
    CHECK(c.ids.begin_image == 17);
    CHECK(c.ids.image == 18);
    CHECK(c.ids.end_image == 19);
    CHECK(c.ids.begin_audio == 20);
    CHECK(c.ids.audio == 21);
    CHECK(c.ids.end_audio == 22);
    CHECK(c.ids.video == 23);
    CHECK(c.stop_ids == std::vector<int32_t>{1, 16, 9});
    CHECK(c.suppress_ids == std::vector<int32_t>{22, 19});
    CHECK(c.sampling.temperature == 0.2f);
    CHECK(c.sampling.top_k == 64);
    CHECK(c.sampling.top_p == 0.95f);
    CHECK(c.sampling.min_p == 0.0f);
    CHECK(c.video_frames == 4);
    CHECK(c.name == "tiny");
}

TEST_CASE("the bundled model's weights and tokenizer") {
    const LoadedModel model = load(kTiny);
    check_weights(model);
    const VisionWeights& v = model.weights.vision;
    for (const auto& norm : {v.ln1_w, v.ln1_b}) check_norm(norm, 6912);
    for (const auto& norm : {v.dense_b, v.ln2_w, v.ln2_b, v.pos_norm_w, v.pos_norm_b}) check_norm(norm, 256);
    check_shape(v.dense, 256, 6912);
    check_shape(v.pos_x, 128, 256);
    check_shape(v.pos_y, 128, 256);
    check_shape(v.projection, 256, 256);
    check_shape(model.weights.audio.projection, 256, 640);
    CHECK(model.weights.embed.format == runtime::Format::bf16);
    CHECK(model.weights.bytes ==
          fs::file_size(kTiny / "model.safetensors") - 8 - 14880);  // the header's length
    REQUIRE(model.vocabulary);
    CHECK(model.vocabulary->size() == 2048);
    CHECK(model.chat_template.size() == fs::file_size(kTiny / "chat_template.jinja"));
    CHECK(model.files.size() == 1);
}

TEST_CASE("headers only: everything is listed, nothing is held") {
    const LoadedModel model = load(kTiny, false);
    CHECK(model.tensors.size() == load(kTiny).tensors.size());
    CHECK(model.weights.bytes == load(kTiny).weights.bytes);
    CHECK_FALSE(model.weights.embed);
    CHECK(model.weights.layers.empty());
    CHECK(model.weights.buffers.empty());
}

TEST_CASE("every file type that llama.cpp's quantiser writes") {
    int files = 0;
    for (const auto& entry : fs::directory_iterator(kPeer)) {
        const std::string file_name = entry.path().filename().string();
        if (file_name.rfind("quant3-", 0) != 0) continue;
        CAPTURE(file_name);
        files++;
        const LoadedModel model = load(entry.path());
        const ModelConfig& c = model.config;
        CHECK(model.source == "gguf");
        CHECK(c.name == "Quant3");
        CHECK(c.hidden == 256);
        CHECK(c.ffn == 512);
        CHECK(c.vocab == 2048);
        CHECK(c.heads == 4);
        CHECK(c.window == 32);
        CHECK(c.context == 4096);
        CHECK(c.soft_cap == 30.0f);
        REQUIRE(c.layers.size() == 3);
        for (size_t i = 0; i < 3; i++) {
            CHECK(c.layers[i].kind == (i == 2 ? LayerKind::full : LayerKind::sliding));
            CHECK(c.layers[i].k_eq_v == (i == 2));
            CHECK(c.layers[i].kv_heads == (i == 2 ? 1 : 2));
            CHECK(c.layers[i].head_dim == (i == 2 ? 128 : 64));
        }
        CHECK(c.sliding_rope.pairs == 32);
        CHECK(c.full_rope.pairs == 16);
        CHECK(c.ids.image == 18);
        CHECK(c.ids.end_audio == 22);
        CHECK(c.stop_ids == std::vector<int32_t>{1, 16, 9});
        CHECK(c.suppress_ids == std::vector<int32_t>{22, 19});
        CHECK(c.sampling.temperature == 0.2f);
        CHECK_FALSE(c.vision);
        CHECK_FALSE(c.audio);
        check_weights(model);
        CHECK(model.tensors.size() == 44);
        REQUIRE(model.vocabulary);
        CHECK(model.vocabulary->size() == 2048);
        CHECK(model.chat_template.size() > 1000);
    }
    CHECK(files == 13);
}

TEST_CASE("both containers give one vocabulary") {
    const LoadedModel hf = load(kTiny, false), gguf = load(kPeer / "quant3-f16.gguf", false);
    CHECK(hf.vocabulary->text == gguf.vocabulary->text);
    CHECK(hf.vocabulary->merges == gguf.vocabulary->merges);
    CHECK(hf.vocabulary->special == gguf.vocabulary->special);
}

TEST_CASE("a type that is out of scope is named") {
    const auto loaded = load_model({.model = kPeer / "unsupported-tq1_0.gguf", .mmproj = {}});
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == Errc::unsupported_model);
    CHECK(loaded.error().message.find("has the type 'tq1_0'") != std::string::npos);
    CHECK(loaded.error().message.find("tensor 'blk.0.attn_") != std::string::npos);
}
