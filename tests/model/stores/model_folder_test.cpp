// Which files of a folder are models, and what these are called.
#include "model/stores/model_folder.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/invented_stores.h"

using namespace lapidary;
namespace fs = std::filesystem;

namespace {

struct Folder {
    test::ScratchFolder scratch;

    Folder& with(const std::string& name, const std::string& content = "GGUF") {
        test::put_file(scratch.path() / name, content);
        return *this;
    }
    std::vector<stores::StoredModel> models() const {
        stores::Listing out;
        stores::list_folder({stores::Program::hugging_face, scratch.path(), scratch.path(), "org/name", {}}, out);
        return out.models;
    }
    std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const auto& model : models()) out.push_back(model.name);
        return out;
    }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("model folder: one GGUF file has the folder's name, several have their type or their own") {
    Folder folder;
    folder.with("gemma-4-12b-it-Q4_0.gguf").with("README.md").with("config.json", "{}");
    CHECK(folder.names() == Names{"hf:org/name"});
    folder.with("gemma-4-12b-it-Q8_0.gguf").with("mmproj-F16.gguf");
    CHECK(folder.names() == Names{"hf:org/name:Q4_0", "hf:org/name:Q8_0"});
    folder.with("other-Q8_0.GGUF");
    CHECK(folder.names() == Names{"hf:org/name:Q4_0", "hf:org/name:gemma-4-12b-it-Q8_0", "hf:org/name:other-Q8_0"});
    folder.with("model.safetensors", "x").with("config.json", "{}");
    CHECK(folder.names().front() == "hf:org/name");
    CHECK(folder.models().front().model == folder.scratch.path());
    CHECK(folder.models().front().title == "name");
}

TEST_CASE("model folder: types in names") {
    for (const auto& [stem, type] : std::vector<std::pair<std::string, std::string>>{{"gemma-4-12b-it-Q4_0", "Q4_0"},
                                                                                   {"gemma-4-12b-it-UD-Q4_K_XL", "Q4_K_XL"},
                                                                                   {"gemma.IQ4_NL", "IQ4_NL"},
                                                                                   {"a-bf16", "bf16"},
                                                                                   {"a-F16-v2", "F16"},
                                                                                   {"qwen-quick", ""},
                                                                                   {"gemma", ""},
                                                                                   {"", ""}}) {
        CHECK(stores::type_in_name(stem) == type);
    }
}

TEST_CASE("model folder: the projector is the best by its name") {
    Folder folder;
    folder.with("a.gguf").with("mmproj-Q8_0.gguf");
    CHECK(folder.models().front().projector.filename() == "mmproj-Q8_0.gguf");
    folder.with("mmproj-model-f16.gguf");
    CHECK(folder.models().front().projector.filename() == "mmproj-model-f16.gguf");
    folder.with("MMPROJ-BF16.gguf", "12345678");
    const auto model = folder.models().front();
    CHECK(model.projector.filename() == "MMPROJ-BF16.gguf");
    CHECK(model.bytes == 12);
    fs::remove(folder.scratch.path() / "MMPROJ-BF16.gguf");
    const test::ScratchFolder other;
    fs::create_symlink(other.write("x", "GGUF"), folder.scratch.path() / "MMPROJ-BF16.gguf");
    CHECK(folder.models().front().projector.empty());
    CHECK(folder.models().front().projector_problem.message.find("leads out") != std::string::npos);
    CHECK(folder.models().front().usable());
}

TEST_CASE("model folder: parts of a split model are one, and a missing one is named") {
    Folder folder;
    folder.with("Q8_0/m-Q8_0-00001-of-00003.gguf").with("Q8_0/m-Q8_0-00002-of-00003.gguf").with("Q8_0/m-Q8_0-00003-of-00003.gguf");
    REQUIRE(folder.models().size() == 1);
    CHECK(folder.models().front().usable());
    CHECK(folder.models().front().bytes == 12);
    CHECK(folder.models().front().model.filename() == "m-Q8_0-00001-of-00003.gguf");
    for (const char* part : {"00002", "00001"}) {
        fs::remove(folder.scratch.path() / ("Q8_0/m-Q8_0-" + std::string(part) + "-of-00003.gguf"));
        REQUIRE(folder.models().size() == 1);
        const Error problem = folder.models().front().problem;
        CHECK(problem.code == Errc::model_not_found);
        CHECK(problem.message.find("m-Q8_0-" + std::string(part) + "-of-00003.gguf") != std::string::npos);
    }
}

TEST_CASE("model folder: a name that claims a great many parts costs nothing") {
    Folder folder;
    folder.with("m-00001-of-99999.gguf");
    CHECK(folder.models().front().problem.message.find("part 2 of 99999") != std::string::npos);
}

TEST_CASE("model folder: companions are no models where a model is") {
    Folder folder;
    folder.with("gemma-imatrix.gguf");
    CHECK(folder.names() == Names{"hf:org/name"});
    folder.with("gemma-Q4_0.gguf").with("gemma-mtp-draft-Q8_0.gguf");
    REQUIRE(folder.models().size() == 1);
    CHECK(folder.models().front().model.filename() == "gemma-Q4_0.gguf");
    CHECK(folder.models().front().drafter.filename() == "gemma-mtp-draft-Q8_0.gguf");
}

TEST_CASE("model folder: checkpoints of MLX, and links out of the folder, are refused") {
    Folder folder;
    folder.with("config.json", R"({"quantization":{"bits":4}})").with("model.safetensors", "x");
    CHECK(folder.models().front().problem.message.find("MLX") != std::string::npos);
    folder.with("config.json", R"({"quantization_config":{"bits":4}})");
    CHECK(folder.models().front().usable());
    const test::ScratchFolder other;
    fs::create_symlink(other.write("t", "{}"), folder.scratch.path() / "tokenizer.json");
    CHECK(folder.models().front().problem.message.find("leads out") != std::string::npos);
}

TEST_CASE("model folder: loops of links end") {
    Folder folder;
    folder.with("a.gguf");
    fs::create_directory_symlink(".", folder.scratch.path() / "again");
    fs::create_symlink("self.gguf", folder.scratch.path() / "self.gguf");
    const auto models = folder.models();
    CHECK(std::any_of(models.begin(), models.end(), [](const auto& m) { return m.problem.message.find("cannot look at") != std::string::npos; }));
    CHECK(std::any_of(models.begin(), models.end(), [](const auto& m) { return m.usable(); }));
}
