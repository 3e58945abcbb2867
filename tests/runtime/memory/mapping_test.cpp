// Mapping files: what is there is seen, everything else is one error.
#include "runtime/memory/mapping.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"

using namespace lapidary;
using runtime::Mapping;

TEST_CASE("a mapped file shows its bytes") {
    const test::ScratchFolder folder;
    const std::string content(10000, 'x');
    const auto mapping = Mapping::open(folder.write("a", content));
    REQUIRE(mapping);
    CHECK((*mapping)->bytes == content.size());
    CHECK((*mapping)->text() == content);
}

TEST_CASE("a mapping outlives the deletion of its file") {
    const test::ScratchFolder folder;
    const auto path = folder.write("a", "hello");
    const auto mapping = Mapping::open(path);
    REQUIRE(mapping);
    std::filesystem::remove(path);
    CHECK((*mapping)->text() == "hello");
}

TEST_CASE("what cannot be mapped is refused by name") {
    const test::ScratchFolder folder;
    const auto missing = Mapping::open(folder.path() / "none");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Errc::model_not_found);
    CHECK(missing.error().message.find("none") != std::string::npos);

    const auto below_a_file = Mapping::open(folder.write("a", "x") / "b");
    REQUIRE_FALSE(below_a_file);
    CHECK(below_a_file.error().code == Errc::model_not_found);

    const auto directory = Mapping::open(folder.path());
    REQUIRE_FALSE(directory);
    CHECK(directory.error().code == Errc::bad_model_file);

    const auto empty = Mapping::open(folder.write("empty", ""));
    REQUIRE_FALSE(empty);
    CHECK(empty.error().code == Errc::bad_model_file);
    CHECK(empty.error().message.find("is empty") != std::string::npos);
}

TEST_CASE("a named pipe neither blocks nor maps") {
    const test::ScratchFolder folder;
    const auto path = folder.path() / "pipe";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    const auto mapping = Mapping::open(path);
    REQUIRE_FALSE(mapping);
    CHECK(mapping.error().code == Errc::bad_model_file);
}

TEST_CASE("a file without permission says so" * doctest::skip(::geteuid() == 0)) {  // root may read anything
    const test::ScratchFolder folder;
    const auto path = folder.write("a", "secret");
    REQUIRE(::chmod(path.c_str(), 0) == 0);
    const auto mapping = Mapping::open(path);
    REQUIRE_FALSE(mapping);
    CHECK(mapping.error().code == Errc::model_not_found);
    CHECK(mapping.error().message.find("Permission denied") != std::string::npos);
}
