// Links that lead nowhere, and folders of the Hugging Face cache.
#include "model/load/folder_kind.h"

#include <doctest/doctest.h>

#include "model/load/loader.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

void refused(const fs::path& model, const std::string& words) {
    const auto loaded = load_model({.model = model});
    CAPTURE(words);
    REQUIRE_FALSE(loaded);
    CAPTURE(loaded.error().message);
    CHECK(loaded.error().code == Errc::model_not_found);
    CHECK(loaded.error().message.find(words) != std::string::npos);
}

// A folder as the cache has it, whose snapshots are folders of small models.
struct Cache {
    Cache(std::initializer_list<const char*> snapshots) {
        for (const char* name : snapshots) {
            const fs::path snapshot = folder.path() / "snapshots" / name;
            fs::create_directories(snapshot);
            const ScratchFolder model;
            test::write_small_folder(model);
            fs::copy(model.path(), snapshot);
        }
        fs::create_directories(folder.path() / "refs");
    }
    ScratchFolder folder;
};

}  // namespace

TEST_CASE("a link to nothing is named, whichever file of the model it is") {
    for (const char* name : {"config.json", "model.safetensors", "generation_config.json", "tokenizer.json"}) {
        const ScratchFolder folder;
        test::write_small_folder(folder);
        fs::remove(folder.path() / name);
        fs::create_symlink("../blobs/0a1b", folder.path() / name);
        refused(folder.path(), std::string(name) + "' is a link to '../blobs/0a1b', which is not there");
    }
    const ScratchFolder folder;
    fs::create_symlink("gone", folder.path() / "a.gguf");
    refused(folder.path(), "a.gguf' is a link to 'gone'");
    refused(folder.path() / "a.gguf", "a.gguf' is a link to 'gone'");
}

TEST_CASE("links that no model needs may lead nowhere, and others lead to their files") {
    const ScratchFolder folder, blobs;
    test::write_small_folder(folder);
    fs::create_symlink("gone", folder.path() / "README.md");
    fs::rename(folder.path() / "config.json", blobs.path() / "1");
    fs::create_symlink(blobs.path() / "1", folder.path() / "config.json");
    CHECK(load_model({.model = folder.path()}));
}

TEST_CASE("a folder of the cache means the snapshot of refs/main, or its only one") {
    const Cache one{"abc"};
    CHECK(*snapshot_of(one.folder.path()) == one.folder.path() / "snapshots" / "abc");
    const Cache two{"abc", "def"};
    refused(two.folder.path(), "holds the snapshots abc, def, and refs/main names none");
    two.folder.write("refs/main", "def\n");
    CHECK(*snapshot_of(two.folder.path()) == two.folder.path() / "snapshots" / "def");
    CHECK(load_model({.model = two.folder.path()}));
    two.folder.write("refs/main", "0123");
    refused(two.folder.path(), "and refs/main names '0123'");
    const Cache none{};
    fs::create_directory(none.folder.path() / "snapshots");
    refused(none.folder.path(), "holds no snapshot");
}

TEST_CASE("a folder that is no cache is itself") {
    const ScratchFolder folder;
    test::write_small_folder(folder);
    fs::create_directory(folder.path() / "snapshots");
    CHECK(*snapshot_of(folder.path()) == folder.path());
}
