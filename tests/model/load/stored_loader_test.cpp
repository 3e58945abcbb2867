// What a store says beside the files: defaults, prompts, companions.
#include "model/load/stored_loader.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::ScratchFolder;

namespace {

struct Kept {
    ScratchFolder folder;
    stores::StoredModel stored;

    Kept() {
        stored.name = "ollama:small:latest";
        stored.model = folder.write("sha256-1", test::small_gguf().f32("general.sampling.temp", 0.25f).f32("general.sampling.top_p", 0.5f).build());
        folder.write("sha256-2", test::small_projector().build());  // of another model: Ollama keeps all blobs in one folder
    }
    Result<LoadedModel> load(LoadOptions options = {}) const { return load_stored_model(std::make_shared<stores::StoredModel>(stored), options); }
};

bool says(const std::vector<std::string>& notes, const std::string& words) {
    return std::any_of(notes.begin(), notes.end(), [&](const auto& note) { return note.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("stored models: parameters stand above the file's, and a note says which") {
    Kept kept;
    auto plain = kept.load();
    REQUIRE(plain);
    CHECK(plain->config.sampling.temperature == 0.25f);
    CHECK(plain->notes.empty());
    kept.stored.defaults.temperature = 0.75;
    kept.stored.defaults.top_k = 7;
    kept.stored.defaults.min_p = 0.125;
    kept.stored.defaults.stop = {"User:"};
    kept.stored.defaults.unused = {"num_ctx 4096"};
    kept.stored.system = "Be brief.";
    const auto loaded = kept.load();
    REQUIRE(loaded);
    CHECK(loaded->config.sampling.temperature == 0.75f);
    CHECK(loaded->config.sampling.top_k == 7);
    CHECK(loaded->config.sampling.top_p == 0.5f);
    CHECK(loaded->config.sampling.min_p == 0.125f);
    CHECK(loaded->config.context == 64);
    CHECK(loaded->system == "Be brief.");
    REQUIRE(loaded->notes.size() == 1);
    CHECK(says(loaded->notes, "temperature 0.75, top_k 7, min_p 0.125, stop 'User:' are the defaults here; num_ctx 4096 not taken"));
}

TEST_CASE("stored models: names, notes and facts of the store") {
    Kept kept;
    kept.stored.title = "small-it";
    kept.stored.drafter = "draft.gguf";
    kept.stored.notes = {"something"};
    kept.stored.facts = {{"ollama license", "3 bytes, not used"}};
    const auto loaded = kept.load();
    REQUIRE(loaded);
    CHECK(loaded->config.name == "small-it");
    CHECK(says(loaded->notes, "something"));
    CHECK(says(loaded->notes, "the drafter 'draft.gguf' is not used"));
    const auto& facts = loaded->metadata;
    CHECK(std::count(facts.begin(), facts.end(), std::pair<std::string, std::string>("name there", kept.stored.name)) == 1);
    CHECK(std::count(facts.begin(), facts.end(), kept.stored.facts.front()) == 1);
}

TEST_CASE("stored models: the projector that is kept with the model, and no other") {
    Kept kept;
    const auto files = [&](LoadOptions options) {
        const auto loaded = kept.load(options);
        return loaded ? std::to_string(loaded->files.size()) : loaded.error().message;
    };
    CHECK(files({}) == "1");
    CHECK(files({.companions = true}) == "1");
    CHECK(files({.inputs = {true, false}}).find("Ollama keeps no projector with it") != std::string::npos);
    kept.stored.projector = kept.folder.path() / "sha256-2";
    CHECK(files({}) == "1");
    CHECK(files({.inputs = {true, true}}) == "2");
    CHECK(files({.companions = true}) == "2");
    CHECK(files({.mmproj = "none", .companions = true}) == "1");
    CHECK(files({.mmproj = kept.folder.path() / "absent"}).find("absent") != std::string::npos);
    kept.folder.write("sha256-2", "GGUF, but not for long");
    CHECK(files({}) == "1");
    CHECK(files({.companions = true}) == "1");
    CHECK(says(kept.load({.companions = true})->notes, "the projector that Ollama keeps with the model is not used"));
    CHECK(files({.inputs = {true, false}}).find("sha256-2") != std::string::npos);
    kept.stored.projector.clear();
    kept.stored.projector_problem = {Errc::model_not_found, "the blob is gone"};
    CHECK(files({}) == "1");
    CHECK(files({.inputs = {false, true}}) == "the blob is gone");
}

TEST_CASE("stored models: problems, and downloads that are under way") {
    Kept kept;
    kept.stored.problem = {Errc::unsupported_model, "MLX"};
    CHECK(kept.load().error().message == "MLX");
    kept.stored.problem = {Errc::ok, {}, {}};
    kept.stored.model = kept.folder.path() / "absent";
    kept.stored.download = "a download is under way";
    CHECK(kept.load().error().code == Errc::model_not_found);
    CHECK(kept.load().error().hint == "a download is under way");
}

TEST_CASE("stored models: for a plan the vocabulary is not read") {
    Kept kept;
    CHECK(kept.load()->vocabulary);
    const auto planned = kept.load({.vocabulary = false});
    REQUIRE(planned);
    CHECK_FALSE(planned->vocabulary);
    CHECK(planned->vocabulary_problem.empty());
    kept.stored.model = kept.folder.write("b", test::small_gguf().text("tokenizer.ggml.model", "bert").build());
    CHECK(kept.load({.vocabulary = false})->vocabulary_problem.find("bert") != std::string::npos);
}
