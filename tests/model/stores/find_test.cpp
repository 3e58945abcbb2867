// Names as people type them.
#include "model/stores/find.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/invented_stores.h"

using namespace lapidary;
namespace fs = std::filesystem;

namespace {

struct Stores {
    test::ScratchFolder folder;
    test::OllamaStore ollama{folder.path() / "ollama"}, service{folder.path() / "service"};
    test::HubCache hub{folder.path() / "hub"};
    stores::Places places;

    Stores() {
        places.ollama = {ollama.root(), service.root()};
        places.hugging_face = {hub.root()};
        places.lm_studio = {folder.path() / "lmstudio"};
        places.llama_cpp = {folder.path() / "llama"};
        ollama.manifest("registry.ollama.ai/library/gemma4/12b", {ollama.layer("model", "GGUF")});
        ollama.manifest("registry.ollama.ai/library/broken/latest", {"1"});
        hub.file("google--gemma-4-12B-it", "c1", "model.safetensors", "x");
        hub.file("google--gemma-4-12B-it", "c1", "config.json", "{}");
        for (const char* type : {"Q4_0", "F16", "BF16", "Q4_K_M", "Q4_K_S"}) hub.file("org--gemma-GGUF", "c2", "gemma-" + std::string(type) + ".gguf", "GGUF");
        test::put_file(folder.path() / "lmstudio/pub/gemma-4/gemma-4-Q8_0.gguf", "GGUF");
        test::put_file(folder.path() / "llama/pub_gemma_gemma-Q6_K.gguf", "GGUF");
    }
    std::string name(const std::string& asked) const {
        const auto found = stores::find_model(asked, places);
        if (!found) return "error: " + found.error().message;
        return found->stored ? found->stored->name : "path";
    }
    Error error(const std::string& asked) const { return stores::find_model(asked, places).error(); }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("find: names with a prefix, in every length and case") {
    const Stores stores;
    for (const char* asked : {"ollama:gemma4:12b", "ollama:library/gemma4:12b", "ollama:registry.ollama.ai/library/gemma4:12b", "ollama:GEMMA4:12B"})
        CHECK(stores.name(asked) == "ollama:gemma4:12b");
    for (const char* asked : {"hf:google/gemma-4-12B-it", "hf:Google/gemma-4-12b-IT", "hf:gemma-4-12B-it"})
        CHECK(stores.name(asked) == "hf:google/gemma-4-12B-it");
    CHECK(stores.name("lmstudio:pub/gemma-4") == "lmstudio:pub/gemma-4");
    CHECK(stores.name("lmstudio:pub/gemma-4/gemma-4-Q8_0.gguf") == "lmstudio:pub/gemma-4");
    for (const char* asked : {"llama.cpp:pub_gemma_gemma-Q6_K", "llamacpp:pub_gemma_gemma-Q6_K.gguf"})
        CHECK(stores.name(asked) == "llama.cpp:pub_gemma_gemma-Q6_K");
}

TEST_CASE("find: a type picks the file whose name has it") {
    const Stores stores;
    CHECK(stores.name("hf:org/gemma-GGUF:Q4_0") == "hf:org/gemma-GGUF:Q4_0");
    CHECK(stores.name("hf:org/gemma-GGUF:q4_0") == "hf:org/gemma-GGUF:Q4_0");
    CHECK(stores.name("hf:org/gemma-GGUF:f16") == "hf:org/gemma-GGUF:F16");  // not BF16
    CHECK(stores.name("hf:org/gemma-GGUF:K_M") == "hf:org/gemma-GGUF:Q4_K_M");
    CHECK(stores.name("hf:org/gemma-GGUF:gemma-Q4_0.gguf") == "hf:org/gemma-GGUF:Q4_0");
    CHECK(has(stores.error("hf:org/gemma-GGUF:Q4_K").message, "may be any of 2 models"));
    const Error several = stores.error("hf:org/gemma-GGUF");
    CHECK(several.code == Errc::model_not_found);
    CHECK(has(several.message, "may be any of 5 models"));
    CHECK(has(several.message, "'hf:org/gemma-GGUF:Q4_K_S'"));
    CHECK(has(stores.error("hf:org/gemma-GGUF:Q2_K").message, "keeps no model"));
    CHECK(has(stores.error("hf:org/gemma-GGUF:").message, "keeps no model"));
}

TEST_CASE("find: revisions") {
    Stores stores;
    stores.hub.ref("google--gemma-4-12B-it", "main", "c1");
    stores.hub.ref("google--gemma-4-12B-it", "v2", "c2");
    stores.hub.file("google--gemma-4-12B-it", "c2", "config.json", "{}");
    const auto found = stores::find_model("hf:google/gemma-4-12B-it@v2", stores.places);
    REQUIRE(found);
    CHECK(found->stored->model.filename() == "c2");
    CHECK(has(stores.error("hf:google/gemma-4-12B-it@v3").message, "keeps no model"));
}

TEST_CASE("find: bare words are looked for in all stores") {
    Stores stores;
    CHECK(stores.name("gemma4:12b") == "ollama:gemma4:12b");
    CHECK(stores.name("google/gemma-4-12B-it") == "hf:google/gemma-4-12B-it");
    CHECK(stores.name("org/gemma-GGUF:Q4_0") == "hf:org/gemma-GGUF:Q4_0");
    CHECK(stores.name("gemma-4") == "lmstudio:pub/gemma-4");
    CHECK(stores::find_model("gemma-4", stores.places)->bare);
    CHECK_FALSE(stores::find_model("lmstudio:gemma-4", stores.places)->bare);
    test::put_file(stores.folder.path() / "lmstudio/google/gemma-4-12B-it/m.gguf", "GGUF");
    const Error both = stores.error("gemma-4-12B-it");
    CHECK(has(both.message, "'hf:google/gemma-4-12B-it', 'lmstudio:google/gemma-4-12B-it'"));
    CHECK(both.code == Errc::model_not_found);
}

TEST_CASE("find: what is there as a path always wins, and what can only be a path is none of a store") {
    const Stores stores;
    for (const fs::path& path : {stores.folder.path(), stores.folder.path() / "absent", fs::path("./gemma4:12b"), fs::path("~/gemma4:12b"), fs::path("..")})
        CHECK(stores.name(path.string()) == "path");
    CHECK(stores.name("") == "path");
    CHECK(stores.name(std::string(5000, 'a')) == "path");  // no system takes that name; who opens it says so
    const fs::path before = fs::current_path();
    fs::current_path(stores.folder.path());
    stores.folder.write("gemma4:12b", "GGUF");
    stores.folder.write("ollama:gemma4:12b", "GGUF");
    fs::create_symlink("gone", "broken");
    for (const char* name : {"gemma4:12b", "ollama:gemma4:12b", "broken"}) CHECK(stores.name(name) == "path");
    fs::current_path(before);
}

TEST_CASE("find: names that do not exist get the nearest that do") {
    Stores stores;
    for (const char* asked : {"ollama:gemma4", "ollama:gema4:12b", "gemma4:12B-it", "ollama:gemma4:21b"}) {
        CAPTURE(asked);
        CHECK(stores.error(asked).code == Errc::model_not_found);
        CHECK(has(stores.error(asked).message, "'ollama:gemma4:12b'"));
        CHECK(has(stores.error(asked).message, "nearest"));
    }
    CHECK(has(stores.error("ollama:zzzzzz").message, "these are there: "));
    CHECK(has(stores.error("absent").message, "there is no model at 'absent'"));
    CHECK_FALSE(has(stores.error("absent").message, "nearest"));
    stores.places.llama_cpp = {stores.folder.path() / "nowhere"};
    CHECK(has(stores.error("llama.cpp:a").message, "no models were found in '" + (stores.folder.path() / "nowhere").string()));
    stores.places.llama_cpp.clear();
    CHECK(has(stores.error("llama.cpp:a").message, "HOME is not set"));
    stores.places.lm_studio = {stores.folder.write("file", "x")};
    CHECK(has(stores.error("lmstudio:a").message, "cannot read the folder"));
    CHECK(has(stores.error("absent").message, "cannot read the folder"));
    CHECK_FALSE(has(stores.error("absent.gguf").message, "cannot read the folder"));
}

TEST_CASE("find: a damaged model is its own error, and a download that is under way a hint") {
    Stores stores;
    CHECK(stores.error("ollama:broken").code == Errc::bad_model_file);
    CHECK(has(stores.error("broken").message, "has a layer without"));
    test::put_file(stores.hub.repo("a--b") / "blobs/x.incomplete", "x");
    CHECK(has(stores.error("hf:a/b").hint, "x.incomplete"));
}

TEST_CASE("find: the first folder of a program that has a name counts, and the list says so") {
    Stores stores;
    stores.service.manifest("registry.ollama.ai/library/gemma4/12b", {stores.service.layer("model", "other")});
    stores.service.manifest("registry.ollama.ai/library/only/there", {stores.service.layer("model", "other")});
    CHECK(stores::find_model("ollama:gemma4:12b", stores.places)->stored->bytes == 4);
    CHECK(stores.name("ollama:only:there") == "ollama:only:there");
    const auto models = stores::list_stores(stores.places).models;
    const auto twice = std::find_if(models.begin(), models.end(), [](const auto& m) { return has(m.problem.message, "is there twice"); });
    REQUIRE(twice != models.end());
    CHECK(twice->bytes == 5);
    CHECK(models.size() == 12);
}
