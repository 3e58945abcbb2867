// Paths in folders of others: links outwards, loops, odd names.
#include "model/stores/store_files.h"

#include <doctest/doctest.h>

#include "tests/support/invented_stores.h"

using namespace lapidary;
namespace fs = std::filesystem;

TEST_CASE("store files: names that are paths are no names") {
    for (const char* name : {"a", "a.b", "..a", "-", "a b", "\xc3\xa4"}) CHECK(stores::is_plain_name(name));
    for (const char* name : {"", ".", "..", "a/b", "/", "a\nb", "\x7f"}) CHECK_FALSE(stores::is_plain_name(name));
}

TEST_CASE("store files: case counts for ASCII alone") {
    CHECK(stores::lower("Q4_K_M-\xc3\x84") == "q4_k_m-\xc3\x84");
    CHECK(stores::contains_without_case("gemma-4-IT-Q4_0", "it-q4"));
    CHECK_FALSE(stores::contains_without_case("gemma", "gemma4"));
}

TEST_CASE("store files: a path stays in its store, whatever links are on the way") {
    const test::ScratchFolder folder;
    const fs::path root = folder.path() / "store", inside = test::put_file(root / "blobs/a", "x"), other = test::put_file(folder.path() / "b", "x");
    fs::create_symlink("../store/blobs/a", root / "within");
    fs::create_symlink(other, root / "out");
    fs::create_directory_symlink(folder.path(), root / "up");
    fs::create_symlink("gone", root / "broken");
    fs::create_symlink("loop", root / "loop");
    CHECK_FALSE(stores::leads_outside(inside, root));
    CHECK_FALSE(stores::leads_outside(root / "within", root));
    CHECK_FALSE(stores::leads_outside(root / "up/store/blobs/a", root));
    const auto message = [&](const fs::path& path) {
        const auto error = stores::leads_outside(path, root);
        return error ? error->message : std::string();
    };
    CHECK(message(root / "out").find("leads out of the folder") != std::string::npos);
    CHECK(message(root / "up/b").find("leads out of the folder") != std::string::npos);
    CHECK(message(root / "broken").find("is a link to 'gone', which is not there") != std::string::npos);
    CHECK(message(root / "loop").find("cannot look at") != std::string::npos);
    CHECK(message(root / "absent").find("there is no file") != std::string::npos);
    // A store that is itself a link to another disk is where it leads.
    fs::create_directory_symlink(root, folder.path() / "linked");
    CHECK_FALSE(stores::leads_outside(folder.path() / "linked/blobs/a", folder.path() / "linked"));
    // A neighbour whose name begins alike is outside.
    test::put_file(folder.path() / "store2/a", "x");
    CHECK(message(root / "../store2/a").find("leads out") != std::string::npos);
}

TEST_CASE("store files: entries by name, hidden ones left out, and why a folder cannot be read") {
    const test::ScratchFolder folder;
    for (const char* name : {"b", "a", ".hidden", "c"}) folder.write(name, "x");
    const auto entries = stores::entries_of(folder.path());
    REQUIRE(entries.paths.size() == 3);
    CHECK(entries.paths[0].filename() == "a");
    CHECK(entries.paths[2].filename() == "c");
    CHECK(stores::entries_of(folder.path() / "absent").problem.empty());
    CHECK_FALSE(stores::entries_of(folder.path() / "a").problem.empty());
    fs::create_directory_symlink("loop", folder.path() / "loop");
    CHECK_FALSE(stores::entries_of(folder.path() / "loop").problem.empty());
    CHECK_FALSE(stores::is_folder(folder.path() / "loop"));
    CHECK(stores::size_of(folder.path() / "a") == 1);
    CHECK(stores::size_of(folder.path() / "loop") == 0);
}
