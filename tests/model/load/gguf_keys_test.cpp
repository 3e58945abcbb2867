// Values of keys that other programs write: understood, refused or named, never dropped in silence.
#include "model/load/gguf_keys.h"

#include <doctest/doctest.h>

#include <functional>

#include "model/load/loader.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::bytes_of;
using lapidary::test::GgufBuilder;
using lapidary::test::ScratchFolder;

namespace {

using Change = std::function<void(GgufBuilder&)>;

Result<LoadedModel> load(const Change& change) {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    change(b);
    return load_model({.model = folder.write("a.gguf", b.build())});
}

void refuses(const Change& change, const std::string& words) {
    CAPTURE(words);
    const auto model = load(change);
    REQUIRE_FALSE(model);
    CAPTURE(model.error().message);
    CHECK(model.error().code == Errc::unsupported_model);
    CHECK(model.error().message.find(words) != std::string::npos);
}

std::string notes_of(const Change& change) {
    const auto model = load(change);
    if (!model) FAIL(model.error().message);
    std::string all;
    for (const auto& note : model->notes) all += note + "\n";
    return all;
}

void notes(const Change& change, const std::string& words) {
    const std::string all = notes_of(change);
    CAPTURE(all);
    CHECK(all.find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("a file with every key of the usual converter loads without a word") {
    CHECK(notes_of([](auto& b) {
              const std::string t = "tokenizer.ggml.";
              b.text("general.type", "model").text("general.size_label", "1K").text("general.license", "gemma");
              b.u32("general.quantization_version", 2).u32("general.file_type", 7).strings("general.tags", {"a"});
              b.u32("general.base_model.count", 1).text("general.base_model.0.name", "x");
              b.raw("general.sampling.top_k", GgufBuilder::kI32, bytes_of(64)).f32("general.sampling.top_p", 0.95f);
              b.f32("general.sampling.temp", 1);
              b.text(t + "pre", "gemma4").array(t + "scores", GgufBuilder::kF32, 1, bytes_of(-1000.0f));
              b.u32(t + "mask_token_id", 4).boolean(t + "add_space_prefix", false).ints(t + "suppress_tokens", {8});
              b.text("tokenizer.chat_template.tool_use", "{{ x }}").text("quantize.imatrix.file", "i.dat");
              b.u32("mradermacher.quantize_version", 2).u32("gemma4.vocab_size", 292);
              b.text("gemma4.rope.scaling.type", "none").f32("gemma4.rope.scaling.factor", 1);
              b.boolean("gemma4.attention.causal", true).f32("gemma4.attention.scale", 1);
              b.u32("gemma4.expert_count", 0).u32("gemma4.expert_feed_forward_length", 0);
          }) == "");
}

TEST_CASE("another computation is refused") {
    refuses([](auto& b) { b.boolean("gemma4.attention.causal", false); }, "'gemma4.attention.causal' is 'false'");
    refuses([](auto& b) { b.f32("gemma4.attention.scale", 0.0625f); }, "'gemma4.attention.scale' is '0.0625'");
    refuses([](auto& b) { b.f32("gemma4.attn_logit_softcapping", 50); }, "attn_logit_softcapping' is '50'");
    refuses([](auto& b) { b.f32("gemma4.attention.logit_softcapping", 20); }, "attention.logit_softcapping' is '20'");
    refuses([](auto& b) { b.f32("gemma4.embedding_scale", 12); }, "embedding_scale' is '12'");
    refuses([](auto& b) { b.f32("gemma4.logit_scale", 0.5f); }, "logit_scale");
    refuses([](auto& b) { b.f32("gemma4.rope.scaling.factor", 8); }, "rope.scaling.factor' is '8'");
    refuses([](auto& b) { b.text("gemma4.rope.scaling.type", "linear").f32("gemma4.rope.scaling.factor", 2); }, "factor");
    refuses([](auto& b) { b.text("gemma4.rope.scaling.type", "longrope"); }, "'longrope'");
    refuses([](auto& b) { b.f32("gemma4.rope.scale_linear", 4); }, "scale_linear");
    refuses([](auto& b) { b.ints("gemma4.rope.dimension_sections", {16, 24, 24, 0}); }, "dimension_sections");
    refuses([](auto& b) { b.bools("gemma4.attention.recurrent_layers", {false, true}); }, "recurrent_layers");
    CHECK(load([](auto& b) { b.ints("gemma4.rope.dimension_sections", {0, 0, 0, 0}); }));
    CHECK(load([](auto& b) { b.text("gemma4.rope.scaling.type", "linear").f32("gemma4.rope.scaling.factor", 1); }));
}

TEST_CASE("blocks of another version are refused") {
    const auto quantised = [](GgufBuilder& b, uint32_t version) {
        b.u32("general.quantization_version", version);
        b.tensors.push_back({"spare", {32}, 8, std::string(34, '\1')});
    };
    refuses([&](auto& b) { quantised(b, 1); }, "quantised in version 1 of the formats; version 2 is read");
    refuses([&](auto& b) { quantised(b, 3); }, "version 3");
    CHECK(load([&](auto& b) { quantised(b, 2); }));
    CHECK(load([](auto& b) { b.u32("general.quantization_version", 1); }));  // nothing here is quantised
}

TEST_CASE("what is read past is named") {
    notes([](auto& b) { b.f32("general.sampling.penalty_repeat", 1.1f); }, "'general.sampling.penalty_repeat' is '1.1");
    notes([](auto& b) { b.u32("general.sampling.mirostat", 2); }, "'general.sampling.mirostat' is '2'");
    notes([](auto& b) { b.f32("general.sampling.xtc_probability", 0.5f); }, "xtc_probability");
    notes([](auto& b) { b.boolean("tokenizer.ggml.add_eos_token", true); }, "add_eos_token' is 'true'");
    notes([](auto& b) { b.boolean("tokenizer.ggml.add_bos_token", false); }, "add_bos_token' is 'false'");
    notes([](auto& b) { b.boolean("tokenizer.ggml.add_space_prefix", true); }, "add_space_prefix");
    notes([](auto& b) { b.boolean("tokenizer.ggml.remove_extra_whitespaces", true); }, "remove_extra_whitespaces");
    notes([](auto& b) { b.array("tokenizer.ggml.precompiled_charsmap", 0, 2, "ab"); }, "precompiled_charsmap");
    notes([](auto& b) { b.text("tokenizer.ggml.pre", "qwen2"); }, "'tokenizer.ggml.pre' is 'qwen2'");
    notes([](auto& b) { b.strings("tokenizer.ggml.merges", {}); }, "'tokenizer.ggml.merges' is empty");
    notes([](auto& b) { b.u32("gemma4.vocab_size", 290); }, "'gemma4.vocab_size' is 290, the embedding has 292 rows");
    notes([](auto& b) { b.u32("gemma4.nextn_predict_layers", 1); }, "nextn_predict_layers");
    notes([](auto& b) { b.floats("mystery.weight", {3}, 1); }, "1 tensor of the file is not used: 'mystery.weight'");
}

TEST_CASE("what only advises or is for people never refuses a model") {
    notes([](auto& b) { b.f32("general.sampling.top_p", 0); }, "the default top_p is 0; the published 0.95 is used");
    notes([](auto& b) { b.f32("general.sampling.temp", -1); }, "the default temperature is -1; the published 1 is used");
    notes([](auto& b) { b.text("general.sampling.min_p", "low"); }, "min_p is 'low', expected a finite number; the published");
    notes([](auto& b) { b.u32("general.name", 7); }, "general.name is '7', expected a text; the file's name is used");
    notes([](auto& b) { b.text("general.quantization_version", "two"); }, "quantization_version is 'two'");
}

TEST_CASE("keys that nobody knows are named, as far as they could matter") {
    const std::string said = notes_of([](auto& b) {
        for (int i = 0; i < 12; i++) b.u32("gemma4.new_idea_" + std::to_string(i), 1);
        b.u32("vendor.own", 1).u32("general.anything", 1);
    });
    CHECK(said.find("keys that this version does not know: 'gemma4.new_idea_0'") != std::string::npos);
    CHECK(said.find("and 4 more") != std::string::npos);
    CHECK(said.find("vendor") == std::string::npos);
    CHECK(said.find("general") == std::string::npos);
}

TEST_CASE("names in notes are fit for a terminal") {
    const std::string said = notes_of([](auto& b) {
        b.u32("gemma4.\x1b[31mred", 1).floats("t\nlapidary: all is well", {1}, 1).text("tokenizer.ggml.pre", "\x9b" "2J");
    });
    for (const char c : said) CHECK((c == '\n' || (c >= 0x20 && c < 0x7f)));
    CHECK(said.find("'gemma4.\\x1b[31mred'") != std::string::npos);
    CHECK(said.find("'t\\nlapidary: all is well'") != std::string::npos);
}

namespace {

Result<LoadedModel> load_projector(const Change& change) {
    const ScratchFolder folder;
    GgufBuilder b = test::small_projector();
    change(b);
    return load_model({.model = folder.write("a.gguf", test::small_gguf().build()),
                       .mmproj = folder.write("p.gguf", b.build())});
}

}  // namespace

TEST_CASE("projectors: what published ones say passes without a word") {
    const auto model = load_projector([](auto& b) {
        b.u32("clip.vision.image_size", 224).u32("clip.vision.block_count", 0).u32("clip.audio.block_count", 0);
        b.u32("clip.vision.feed_forward_length", 0).u32("clip.vision.projection_dim", 6).u32("clip.audio.embedding_length", 10);
        b.array("clip.vision.image_mean", 6, 3, bytes_of(0.0f) + bytes_of(0.0f) + bytes_of(0.0f));
        b.array("clip.vision.image_std", 6, 3, bytes_of(1.0f) + bytes_of(1.0f) + bytes_of(1.0f));
    });
    if (!model) FAIL(model.error().message);
    CHECK(model->notes.empty());
}

TEST_CASE("projectors that want another computation are refused") {
    const struct {
        Change change;
        const char* says;
    } all[] = {
        {[](auto& b) { b.array("clip.vision.image_mean", 6, 3, bytes_of(0.0f) + bytes_of(0.25f) + bytes_of(0.0f)); },
         "'clip.vision.image_mean' is 'f32[3] 0, 0.25, 0'"},
        {[](auto& b) { b.array("clip.vision.image_std", 6, 1, bytes_of(0.25f)); }, "image_std"},
        {[](auto& b) { b.u32("clip.vision.block_count", 2); }, "'clip.vision.block_count' is '2'"},
        {[](auto& b) { b.u32("clip.audio.block_count", 12); }, "clip.audio.block_count"},
        {[](auto& b) { b.bools("clip.vision.is_deepstack_layers", {false, true}); }, "is_deepstack_layers"},
        {[](auto& b) { b.u32("clip.audio.projector.stack_factor", 8); }, "stack_factor"},
    };
    for (const auto& entry : all) {
        CAPTURE(entry.says);
        const auto model = load_projector(entry.change);
        REQUIRE_FALSE(model);
        CHECK(model.error().code == Errc::unsupported_model);
        CHECK(model.error().message.find(entry.says) != std::string::npos);
    }
    CHECK(load_projector([](auto& b) { b.bools("clip.vision.is_deepstack_layers", {false, false}); }));
}

TEST_CASE("projectors: what is read past is named") {
    const auto model = load_projector([](auto& b) {
        b.boolean("clip.use_gelu", true).u32("clip.vision.spatial_merge_size", 2).u32("clip.vision.new_idea", 1).u32("vendor.x", 1);
    });
    if (!model) FAIL(model.error().message);
    std::string all;
    for (const auto& note : model->notes) all += note + "\n";
    CAPTURE(all);
    CHECK(all.find("'clip.use_gelu' is 'true' in the projector; it is not obeyed") != std::string::npos);
    CHECK(all.find("spatial_merge_size' is '2'") != std::string::npos);
    CHECK(all.find("the projector has keys that this version does not know: 'clip.vision.new_idea'\n") != std::string::npos);
}
