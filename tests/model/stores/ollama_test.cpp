// Manifests good, damaged and hostile.
#include "model/stores/ollama.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/support/invented_stores.h"

using namespace lapidary;
namespace fs = std::filesystem;

namespace {

constexpr const char* kPlace = "registry.ollama.ai/library/gemma4/12b";

struct Store {
    test::ScratchFolder folder;
    test::OllamaStore ollama{folder.path()};

    stores::Listing list() const {
        stores::Listing out;
        stores::list_ollama(folder.path(), out);
        return out;
    }
    stores::StoredModel only() const {
        auto listing = list();
        REQUIRE(listing.models.size() == 1);
        return listing.models.front();
    }
    std::string problem() const { return only().problem.message; }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("ollama: a model with all that can come with it") {
    Store store;
    auto& o = store.ollama;
    o.manifest(kPlace, {o.layer("model", "GGUF model"), o.layer("projector", "GGUF p"), o.layer("draft", "GGUF d"),
                        o.layer("params", R"({"temperature":0.5,"num_ctx":9})"), o.layer("system", "Be brief."), o.layer("template", "{{ .Prompt }}"),
                        o.layer("license", "MIT")});
    const auto model = store.only();
    CHECK(model.usable());
    CHECK(model.name == "ollama:gemma4:12b");
    CHECK(test::read_file(model.model) == "GGUF model");
    CHECK(test::read_file(model.projector) == "GGUF p");
    CHECK(test::read_file(model.drafter) == "GGUF d");
    CHECK(model.bytes == 16);
    CHECK(model.defaults.temperature == 0.5);
    CHECK(model.system == "Be brief.");
    CHECK(model.notes.empty());
    REQUIRE(model.facts.size() == 2);
    CHECK(model.facts[0].first == "ollama template");
    CHECK(model.facts[1].second == "3 bytes, not used");
}

TEST_CASE("ollama: names in every length") {
    Store store;
    auto& o = store.ollama;
    const std::string layer = o.layer("model", "x");
    for (const char* place : {kPlace, "registry.ollama.ai/library/gemma4/latest", "registry.ollama.ai/me/mine/latest", "hf.co/org/name/Q4_0",
                              "localhost:5000/library/a/b"})
        o.manifest(place, {layer});
    std::vector<std::string> names;
    for (const auto& model : store.list().models) {
        names.push_back(model.name);
        if (model.name != "ollama:gemma4:latest") continue;
        for (const char* word : {"gemma4", "gemma4:latest", "library/gemma4", "registry.ollama.ai/library/gemma4:latest"})
            CHECK(std::count(model.words.begin(), model.words.end(), word) == 1);
    }
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{"ollama:gemma4:12b", "ollama:gemma4:latest", "ollama:hf.co/org/name:Q4_0",
                                            "ollama:localhost:5000/library/a:b", "ollama:me/mine:latest"});
}

TEST_CASE("ollama: forms that are not run here are refused by name") {
    Store store;
    auto& o = store.ollama;
    o.manifest(kPlace, {o.layer("model", "x"), o.layer("adapter", "x")});
    CHECK(has(store.problem(), "an adapter (LoRA)"));
    for (const char* kind : {"tensor", "json", "tensor; name=x"}) {
        o.manifest(kPlace, {o.layer(kind, "x"), o.layer("params", "{}")});
        CHECK(has(store.problem(), "this tag holds MLX tensors"));
        CHECK(store.only().problem.hint == "pull a GGUF tag");
        CHECK(store.only().problem.code == Errc::unsupported_model);
    }
    o.manifest(kPlace, {o.layer("license", "x")});
    CHECK(has(store.problem(), "names no model file"));
    o.manifest(kPlace, {o.layer("model", "x"), o.layer("model", "y")});
    CHECK(has(store.problem(), "names 2 models"));
}

TEST_CASE("ollama: a digest is a component of a path, and nothing else is taken for one") {
    Store store;
    test::put_file(store.folder.path() / "secret", "x");
    const std::string hex(64, 'a');
    for (const std::string& digest : {std::string("sha256:../../secret"), "sha256:" + hex + "/../../secret", "sha256-" + hex, "sha512:" + hex,
                                      "sha256:" + std::string(63, 'a'), "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, 'g'), hex,
                                      std::string(), std::string("/etc/passwd")}) {
        CAPTURE(digest);
        store.ollama.manifest(kPlace, {test::ollama_layer("model", digest, 1)});
        CHECK(has(store.problem(), "not sha256: and 64 digits"));
        CHECK(store.only().problem.code == Errc::bad_model_file);
        CHECK(store.only().model.empty());
    }
}

TEST_CASE("ollama: blobs that are gone, of another size, links outwards or loops") {
    Store store;
    auto& o = store.ollama;
    const std::string digest = o.digest();
    const fs::path blob = o.blob_of(digest);
    o.manifest(kPlace, {test::ollama_layer("model", digest, 4)});
    CHECK(has(store.problem(), "is not there"));
    CHECK(store.only().problem.code == Errc::model_not_found);
    test::put_file(blob, "12345");
    CHECK(has(store.problem(), "has 5 bytes, its manifest says 4"));
    test::put_file(blob, "1234");
    CHECK(store.only().usable());
    fs::remove(blob);
    const test::ScratchFolder other;
    fs::create_symlink(other.write("model", "1234"), blob);
    CHECK(has(store.problem(), "leads out of the folder"));
    fs::remove(blob);
    fs::create_symlink(blob.filename(), blob);
    CHECK(has(store.problem(), "cannot look at"));
    fs::remove(blob);
    fs::create_directory(blob);
    CHECK(has(store.problem(), "is not a regular file"));
}

TEST_CASE("ollama: a projector that cannot be used does not stop texts") {
    Store store;
    auto& o = store.ollama;
    o.manifest(kPlace, {o.layer("model", "x"), test::ollama_layer("projector", o.digest(), 4)});
    const auto model = store.only();
    CHECK(model.usable());
    CHECK(model.projector.empty());
    CHECK(has(model.projector_problem.message, "is not there"));
}

TEST_CASE("ollama: advice that cannot be read is a note") {
    Store store;
    auto& o = store.ollama;
    o.manifest(kPlace, {o.layer("model", "x"), o.layer("params", "{"), o.layer("system", "\xff\xfe"), o.layer("projector", "a"), o.layer("projector", "b")});
    const auto model = store.only();
    CHECK(model.usable());
    REQUIRE(model.notes.size() == 3);
    CHECK(has(model.notes[0], "parameters"));
    CHECK(has(model.notes[1], "system prompt"));
    CHECK(has(model.notes[1], "is not UTF-8"));
    CHECK(has(model.notes[2], "another projector"));
    o.manifest(kPlace, {o.layer("model", "x"), o.layer("params", std::string(100'000, ' '))});
    REQUIRE(store.only().notes.size() == 1);
    CHECK(has(store.only().notes[0], "100000 bytes"));
}

TEST_CASE("ollama: manifests of other shapes") {
    Store store;
    const fs::path file = store.ollama.manifest(kPlace, {});
    const std::string many = R"({"layers":)" + std::string(100, '[') + std::string(100, ']') + "}";
    for (const std::string& text : {std::string(), std::string("no json"), std::string("[]"), std::string("{}"), std::string(R"({"layers":{}})"),
                                    std::string(R"({"layers":[1]})"), std::string(R"({"layers":[{"mediaType":1,"digest":2,"size":3}]})"),
                                    std::string(R"({"layers":[{"mediaType":"a","digest":"b","size":-1}]})"), many}) {
        CAPTURE(text);
        test::put_file(file, text);
        CHECK(store.only().problem.code == Errc::bad_model_file);
        CHECK(has(store.problem(), "12b"));
    }
    test::put_file(file, "");
    fs::resize_file(file, 5 << 20);  // sparse
    CHECK(has(store.problem(), "more than the 4194304"));
    fs::remove(file);
    fs::create_symlink(file.filename(), file);
    CHECK(has(store.problem(), "cannot look at"));
    fs::remove(file);
    const test::ScratchFolder other;
    fs::create_symlink(other.write("m", R"({"layers":[]})"), file);
    CHECK(has(store.problem(), "leads out of the folder"));
}

TEST_CASE("ollama: folders that are none, loops of folders, and those that may not be read") {
    Store store;
    CHECK(store.list().models.empty());
    CHECK(store.list().problems.empty());
    store.ollama.manifest(kPlace, {store.ollama.layer("model", "x")});
    fs::create_directory_symlink("../../..", store.folder.path() / "manifests/registry.ollama.ai/library/loop");
    store.folder.write("manifests/stray", "x");
    CHECK(store.list().models.front().usable());
    const fs::path manifests = store.folder.path() / "manifests";
    if (::geteuid() != 0) {  // who may read everything sees no lock
        fs::permissions(manifests, fs::perms::none);
        CHECK(store.list().problems.size() == 1);
        fs::permissions(manifests, fs::perms::owner_all);
    }
    fs::remove_all(manifests);
    fs::create_directory_symlink("manifests", manifests);
    const auto loop = store.list();
    CHECK(loop.models.empty());
    REQUIRE(loop.problems.size() == 1);
    CHECK(has(loop.problems[0].message, "cannot read the folder"));
    CHECK(has(loop.problems[0].hint, "group"));
}
