// Mapping files: what is there is seen, everything else is one error.
#include "runtime/memory/mapping.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

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

TEST_CASE("what is discarded leaves the system's cache and is there again when it is read") {
    const test::ScratchFolder folder;
    constexpr size_t kBytes = 16 << 20, kKept = 1 << 20;  // pages go in pieces of up to 2 MiB
    const auto path = folder.write("a", std::string(kBytes, 'x'));
    const int file = ::open(path.c_str(), O_RDONLY);
    REQUIRE(::fsync(file) == 0);  // what is not on the disk cannot be dropped
    struct statfs system = {};
    REQUIRE(::fstatfs(file, &system) == 0);
    ::close(file);
    const auto mapping = *Mapping::open(path);
    const auto cached = [&] {
        const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
        std::vector<unsigned char> pages(kBytes / page);
        REQUIRE(::mincore(const_cast<char*>(mapping->text().data()), kBytes, pages.data()) == 0);
        return static_cast<size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return p & 1; })) * page;
    };
    const auto sum = [&] { return std::count(mapping->text().begin(), mapping->text().end(), 'x'); };
    CHECK(sum() == kBytes);
    CHECK(cached() == kBytes);
    mapping->discard(kKept, kBytes - kKept);
    if (system.f_type != TMPFS_MAGIC) CHECK(cached() < kBytes / 2);  // a file system of memory has nowhere else to keep them
    mapping->discard(0, kBytes);
    const size_t before = cached();
    runtime::read_alone(reinterpret_cast<const std::byte*>(mapping->text().data()) + kBytes / 2 + 100, 5000);
    CHECK(cached() <= before + 4 * static_cast<size_t>(::sysconf(_SC_PAGESIZE)));
    CHECK(sum() == kBytes);
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
