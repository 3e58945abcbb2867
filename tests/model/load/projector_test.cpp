// Which of the files beside a model is taken as its projector, and that text never depends on any of them.
#include "model/load/projector.h"

#include <doctest/doctest.h>

#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::GgufBuilder;
using lapidary::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

constexpr Inputs kPictures{true, false}, kSound{false, true}, kBoth{true, true};

bool mentions(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

// The name of the projector that serves, or what the error says.
std::string chosen(const fs::path& model, const Inputs& inputs = kBoth) {
    const auto loaded = load_model({.model = model, .inputs = inputs});
    if (!loaded) return "error: " + loaded.error().message;
    return loaded->files.size() == 2 ? loaded->files[1].filename().string() : "none";
}

// A projector of small_model.h whose patch matrix is of another type.
GgufBuilder projector_of_type(uint32_t type, size_t bytes_per_value) {
    GgufBuilder b = test::small_projector();
    auto* dense = b.find("v.patch_embd.weight");
    dense->type = type;
    dense->data = std::string(48 * 6 * bytes_per_value, '\0');
    return b;
}
constexpr uint32_t kF32 = 0, kF16 = 1, kBf16 = 30;

GgufBuilder wider_projector() {
    GgufBuilder b = test::small_projector();
    b.drop("mm.input_projection.weight").floats("mm.input_projection.weight", {6, 12}, 1);
    b.drop("mm.a.input_projection.weight").floats("mm.a.input_projection.weight", {10, 12}, 1);
    return b;
}

GgufBuilder of_type(const std::string& type) {
    GgufBuilder b;
    return b.text("general.architecture", "gemma4").text("general.type", type);
}

}  // namespace

TEST_CASE("projectors: the most exact of several, whatever the names say") {
    const ScratchFolder folder;
    const auto model = folder.write("model.gguf", test::small_gguf().build());
    folder.write("mmproj-F32.gguf", projector_of_type(kF16, 2).build());
    CHECK(chosen(model) == "mmproj-F32.gguf");
    folder.write("vision tower.bin", projector_of_type(kBf16, 2).build());
    CHECK(chosen(model) == "vision tower.bin");
    folder.write("mmproj-Q8_0.GGUF", projector_of_type(kF32, 4).build());
    CHECK(chosen(model) == "mmproj-Q8_0.GGUF");
    CHECK(chosen(folder.path()) == "mmproj-Q8_0.GGUF");
    const auto loaded = load_model({.model = model, .inputs = kPictures});
    REQUIRE(loaded);
    REQUIRE(loaded->notes.size() == 1);
    CHECK(mentions(loaded->notes[0], "'mmproj-Q8_0.GGUF', the best of 3"));
}

TEST_CASE("projectors: one that names the model goes before a more exact one") {
    const ScratchFolder folder;
    const auto model = folder.write("model.gguf", test::small_gguf().build());
    folder.write("a", projector_of_type(kF32, 4).text("general.name", "other tune").build());
    folder.write("b", projector_of_type(kF16, 2).text("general.name", "small").build());
    CHECK(chosen(model) == "b");
}

TEST_CASE("projectors: what takes all inputs goes before what takes one, unless that is asked for alone") {
    const ScratchFolder folder;
    const auto model = folder.write("model.gguf", test::small_gguf().build());
    folder.write("a", test::small_projector().boolean("clip.has_vision_encoder", false).build());
    CHECK(chosen(model, kSound) == "a");
    CHECK(mentions(chosen(model, kPictures), "'a' does not fit: it takes no pictures"));
    folder.write("b", projector_of_type(kF16, 2).build());
    CHECK(chosen(model, kSound) == "b");
}

TEST_CASE("projectors: other models', damaged and foreign files are passed over with the reason") {
    const ScratchFolder folder;
    const auto model = folder.write("model.gguf", test::small_gguf().build());
    const auto whole = test::small_projector().build();
    folder.write("mmproj-wide.gguf", wider_projector().build());
    folder.write("mmproj-cut.gguf", whole.substr(0, whole.size() / 2));
    folder.write("mmproj-siglip.gguf", test::small_projector().text("clip.vision.projector_type", "gemma3").build());
    folder.write("imatrix.gguf", of_type("imatrix").build());
    folder.write("lora.gguf", of_type("adapter").build());
    folder.write("draft.gguf", test::small_gguf().text("general.architecture", "gemma4-assistant").build());
    folder.write("._mmproj-model.gguf", std::string("\0\5\x16\7\0\2\0\0Mac OS X        ", 24));
    fs::create_directory(folder.path() / "mmproj.gguf");

    const auto text = load_model({.model = model});
    REQUIRE(text);
    CHECK(text->notes.empty());
    CHECK_FALSE(text->config.vision);
    const auto any = load_model({.model = model, .companions = true});
    REQUIRE(any);
    CHECK_FALSE(any->config.vision);
    REQUIRE(any->notes.size() == 1);
    CHECK(mentions(any->notes[0], "'mmproj-wide.gguf' does not fit"));
    CHECK_FALSE(mentions(any->notes[0], "imatrix"));

    const auto pictures = load_model({.model = model, .inputs = kPictures});
    REQUIRE_FALSE(pictures);
    CHECK(pictures.error().code == Errc::unsupported_model);
    for (const char* words : {"no pictures", "'mmproj-wide.gguf' does not fit", "'mmproj-cut.gguf' is damaged",
                              "'gemma3'", "'imatrix.gguf': this is an importance matrix", "'lora.gguf': this is an adapter",
                              "'gemma4-assistant'", "'._mmproj-model.gguf' is what macOS keeps"})
        CHECK_MESSAGE(mentions(pictures.error().message, words), words, " in ", pictures.error().message);

    folder.write("right", whole);
    CHECK(chosen(model) == "right");
    CHECK(chosen(folder.path()) == "right");
}

TEST_CASE("projectors: none beside the model, and none wanted") {
    const ScratchFolder folder;
    const auto model = folder.write("model.gguf", test::small_gguf().build());
    const auto alone = load_model({.model = model, .inputs = kSound});
    REQUIRE_FALSE(alone);
    CHECK(alone.error().code == Errc::media_unsupported);
    CHECK(mentions(alone.error().message, "no sound: there is no projector beside 'model.gguf'"));
    folder.write("mmproj.gguf", test::small_projector().build());
    CHECK(chosen(model) == "mmproj.gguf");
    const auto none = load_model({.model = model, .mmproj = kNoProjector, .companions = true});
    REQUIRE(none);
    CHECK_FALSE(none->config.vision);
    const auto pictures = load_model({.model = model, .mmproj = kNoProjector, .inputs = kPictures});
    REQUIRE_FALSE(pictures);
    CHECK(mentions(pictures.error().message, "without a projector"));
}

TEST_CASE("projectors: one that is named is used or refused, never another instead") {
    const ScratchFolder folder;
    const auto model = folder.write("model.gguf", test::small_gguf().build());
    folder.write("a.gguf", test::small_projector().build());
    const auto wide = folder.write("b.gguf", wider_projector().build());
    const auto loaded = load_model({.model = model, .mmproj = wide, .inputs = kPictures});
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == Errc::bad_model_file);
    CHECK(mentions(loaded.error().message, "b.gguf"));
}

TEST_CASE("projectors: a Hugging Face folder brings its own, \"none\" means nothing there") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    CHECK(load_model({.model = folder.path(), .mmproj = kNoProjector}));
    const auto named = load_model({.model = folder.path(), .mmproj = "p.gguf"});
    REQUIRE_FALSE(named);
    CHECK(mentions(named.error().message, "brings its own"));
}

namespace {

// Text and projector in one file, as Ollama's converter writes the sizes of Gemma 4 that it knows.
GgufBuilder with_towers() {
    GgufBuilder b = test::small_gguf();
    b.text("tokenizer.ggml.model", "llama").text("tokenizer.ggml.pre", "gemma4");
    b.u32("gemma4.vision.patch_size", 2).u32("gemma4.vision.projector.scale_factor", 2).u32("gemma4.vision.num_channels", 3);
    b.f32("gemma4.vision.attention.layer_norm_epsilon", 1e-5f).u32("gemma4.audio.embedding_length", 8);
    for (const auto& tensor : test::small_projector().tensors) b.tensors.push_back(tensor);
    return b;
}

}  // namespace

TEST_CASE("projectors: towers in the file of the text serve, and need nothing beside it") {
    const ScratchFolder folder;
    const auto model = folder.write("a.gguf", with_towers().build());
    folder.write("mmproj.gguf", test::small_projector().build());
    for (const bool prompts_only : {false, true}) {
        const auto loaded = load_model({.model = model, .inputs = kBoth, .prompts_only = prompts_only});
        REQUIRE_MESSAGE(loaded, loaded.error().message);
        CHECK(loaded->files.size() == 1);
        CHECK(loaded->notes.empty());
        REQUIRE(loaded->config.vision);
        CHECK(loaded->config.vision->model_patch == 4);
        CHECK(loaded->config.vision->positions == 5);
        CHECK(loaded->config.vision->rms_eps == 1e-5f);
        REQUIRE(loaded->config.audio);
        CHECK(loaded->config.audio->samples_per_token == 10);
        if (!prompts_only) CHECK(loaded->weights.vision.pos_y.rows == 5);
    }
    const auto given = load_model({.model = model, .mmproj = folder.path() / "mmproj.gguf"});
    REQUIRE_FALSE(given);
    CHECK(mentions(given.error().message, "brings its own"));
}

TEST_CASE("projectors: towers of which a part is missing, and those of encoders, are refused") {
    const ScratchFolder folder;
    for (const char* name : {"v.position_embd.weight", "mm.input_projection.weight", "v.patch_norm.1.bias"}) {
        CAPTURE(name);
        const auto loaded = load_model({.model = folder.write("a.gguf", with_towers().drop(name).build())});
        REQUIRE_FALSE(loaded);
        CHECK(mentions(loaded.error().message, name));
    }
    for (const char* name : {"v.blk.0.attn_q.weight", "a.blk.11.ffn_up.weight"}) {
        CAPTURE(name);
        const auto loaded = load_model({.model = folder.write("a.gguf", test::small_gguf().floats(name, {8}, 1).build())});
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().code == Errc::unsupported_model);
        CHECK(mentions(loaded.error().message, "encoders"));
        CHECK(mentions(loaded.error().message, name));
    }
}
