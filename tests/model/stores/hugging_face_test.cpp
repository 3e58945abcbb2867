// Revisions, snapshots and downloads of the cache.
#include "model/stores/hugging_face.h"

#include <doctest/doctest.h>

#include <chrono>

#include "tests/support/invented_stores.h"

using namespace lapidary;
namespace fs = std::filesystem;

namespace {

constexpr const char* kOld = "aaaa", * kNew = "bbbb";

struct Cache {
    test::ScratchFolder folder;
    test::HubCache hub{folder.path()};

    Cache() {
        for (const char* commit : {kNew, kOld}) {
            hub.file("google--gemma-4--it", commit, "config.json", "{}");
            hub.file("google--gemma-4--it", commit, "model.safetensors", "123");
        }
        fs::last_write_time(hub.snapshot("google--gemma-4--it", kOld), fs::file_time_type::clock::now() - std::chrono::hours(24));
    }
    std::vector<stores::StoredModel> list(const std::string& revision = "") const {
        stores::Listing out;
        stores::list_hugging_face(folder.path(), revision, out);
        return out.models;
    }
    std::string problem() const {
        REQUIRE(list().size() == 1);
        return list().front().problem.message;
    }
};

}  // namespace

TEST_CASE("hugging face: main, else the newest snapshot") {
    Cache cache;
    REQUIRE(cache.list().size() == 1);
    const auto newest = cache.list().front();
    CHECK(newest.usable());
    CHECK(newest.name == "hf:google/gemma-4--it");
    CHECK(newest.model.filename() == kNew);
    CHECK(newest.bytes == 3);
    cache.hub.ref("google--gemma-4--it", "main", std::string(kOld) + "\n");
    CHECK(cache.list().front().model.filename() == kOld);
    fs::create_directories(cache.folder.path() / "datasets--a--b/snapshots/c");
    cache.folder.write("version.txt", "1");
    CHECK(cache.list().size() == 1);
}

TEST_CASE("hugging face: revisions by name and by commit") {
    Cache cache;
    cache.hub.ref("google--gemma-4--it", "main", kNew);
    cache.hub.ref("google--gemma-4--it", "refs/pr/7", kOld);
    for (const char* revision : {"refs/pr/7", kOld}) {
        REQUIRE(cache.list(revision).size() == 1);
        CHECK(cache.list(revision).front().model.filename() == kOld);
        CHECK(cache.list(revision).front().name == "hf:google/gemma-4--it@" + std::string(revision));
    }
    for (const char* revision : {"other", "../main", "..", "a//b", "/etc"}) CHECK(cache.list(revision).empty());
}

TEST_CASE("hugging face: a ref is the name of a folder, or nothing") {
    Cache cache;
    for (const char* commit : {"../../../..", "", "a/b", "..", "\x01"}) {
        cache.hub.ref("google--gemma-4--it", "main", commit);
        CHECK(cache.problem().find("no name of a snapshot") != std::string::npos);
    }
    cache.hub.ref("google--gemma-4--it", "main", "cccc");
    CHECK(cache.problem().find("which is not there") != std::string::npos);
    cache.hub.ref("google--gemma-4--it", "main", std::string(1000, 'a'));
    CHECK(cache.problem().find("1000 bytes") != std::string::npos);
    const fs::path ref = cache.hub.repo("google--gemma-4--it") / "refs/main";
    fs::remove(ref);
    fs::create_symlink(cache.folder.write("secret", kNew), ref);
    CHECK(cache.problem().find("leads out of the folder") != std::string::npos);
}

TEST_CASE("hugging face: links stay in the cache") {
    Cache cache;
    const test::ScratchFolder other;
    const fs::path file = cache.hub.snapshot("google--gemma-4--it", kNew) / "model.safetensors";
    fs::remove(file);
    fs::create_symlink(other.write("m", "x"), file);
    CHECK(cache.problem().find("leads out of the folder") != std::string::npos);
    fs::remove(file);
    fs::create_symlink("../../blobs/gone", file);
    CHECK(cache.problem().find("which is not there") != std::string::npos);
    const fs::path snapshot = cache.hub.snapshot("google--gemma-4--it", "cccc");
    fs::create_directory_symlink(other.path(), snapshot);
    cache.hub.ref("google--gemma-4--it", "main", "cccc");
    CHECK(cache.problem().find("leads out of the folder") != std::string::npos);
}

TEST_CASE("hugging face: a download under way is said") {
    Cache cache;
    CHECK(cache.list().front().download.empty());
    test::put_file(cache.hub.repo("google--gemma-4--it") / "blobs/abc.incomplete", "x");
    CHECK(cache.list().front().download.find("abc.incomplete") != std::string::npos);
    test::put_file(cache.hub.repo("a--b") / "blobs/x.incomplete", "x");
    const auto models = cache.list();
    REQUIRE(models.size() == 2);
    CHECK(models[0].problem.message.find("holds no snapshot yet") != std::string::npos);
    CHECK(models[0].download.find("x.incomplete") != std::string::npos);
}

TEST_CASE("hugging face: a cache that is no folder") {
    const test::ScratchFolder folder;
    stores::Listing out;
    stores::list_hugging_face(folder.write("hub", "x"), "", out);
    CHECK(out.models.empty());
    CHECK(out.problems.size() == 1);
}
