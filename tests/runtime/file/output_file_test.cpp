// Files and folders that appear whole or not at all.
#include "runtime/file/output_file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::runtime;
using lapidary::test::read_file;
using lapidary::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

size_t entries(const fs::path& folder) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// Files may not grow beyond this many bytes while it lives, as on a full disk.
class SmallDisk {
  public:
    explicit SmallDisk(rlim_t bytes) {
        old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit small = {bytes, old_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &small);
    }
    ~SmallDisk() {
        ::setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, old_handler_);
    }

  private:
    rlimit old_ = {};
    void (*old_handler_)(int) = nullptr;
};

}  // namespace

TEST_CASE("a file appears with commit and replaces an older one") {
    const ScratchFolder folder;
    const auto path = folder.write("out", "old");
    std::string expected;
    {
        auto file = OutputFile::create(path);
        REQUIRE(file);
        for (const size_t size : {1u, 700000u, 700000u, 3000000u, 0u, 5u}) {  // around the gathering size
            const std::string piece(size, static_cast<char>('a' + size % 26));
            REQUIRE(file->write(piece.data(), piece.size()));
            expected += piece;
        }
        CHECK(file->written() == expected.size());
        CHECK(read_file(path) == "old");
        REQUIRE(file->commit());
    }
    CHECK(read_file(path) == expected);
    CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a file that is given up leaves the old one") {
    const ScratchFolder folder;
    const auto path = folder.write("out", "old");
    {
        auto file = OutputFile::create(path);
        REQUIRE(file);
        REQUIRE(file->write("new", 3));
    }
    CHECK(read_file(path) == "old");
    CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a full disk is one error and leaves nothing") {
    const ScratchFolder folder;
    {
        const SmallDisk disk(4096);
        auto file = OutputFile::create(folder.path() / "out");
        REQUIRE(file);
        const std::string big(3 << 20, 'x');
        const auto written = file->write(big.data(), big.size());
        REQUIRE_FALSE(written);
        CHECK(written.error().code == Errc::io_error);
        CHECK(written.error().message.find("cannot write to") != std::string::npos);
    }
    {
        const SmallDisk disk(4096);
        auto file = OutputFile::create(folder.path() / "out");
        REQUIRE(file);
        const std::string small(5000, 'x');  // fails only when it is flushed
        REQUIRE(file->write(small.data(), small.size()));
        const auto committed = file->commit();
        REQUIRE_FALSE(committed);
        CHECK(committed.error().code == Errc::io_error);
    }
    CHECK(entries(folder.path()) == 0);
}

TEST_CASE("targets that cannot be written") {
    const ScratchFolder folder;
    for (const fs::path& path : {folder.path(), folder.path() / "none" / "out", folder.path() / ""}) {
        const auto file = OutputFile::create(path);
        REQUIRE_FALSE(file);
        CHECK(file.error().code == Errc::io_error);
    }
}

TEST_CASE("a pipe or device is refused, and stays what it is") {
    const ScratchFolder folder;
    const fs::path pipe = folder.path() / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    const auto refused = OutputFile::create(pipe);
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::io_error);
    CHECK(fs::is_fifo(pipe));
    CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a folder appears with commit") {
    const ScratchFolder scratch;
    const auto target = scratch.path() / "out";
    for (const bool exists : {false, true}) {  // an empty folder may be replaced
        if (exists) {
            fs::remove_all(target);
            fs::create_directory(target);
        }
        auto folder = OutputFolder::create(target / "");  // a slash at the end changes nothing
        REQUIRE(folder);
        std::ofstream(folder->path() / "a") << "x";
        CHECK_FALSE(fs::exists(target / "a"));
        REQUIRE(folder->commit());
        CHECK(read_file(target / "a") == "x");
        CHECK(entries(scratch.path()) == 1);
    }
    const auto taken = OutputFolder::create(target);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Errc::io_error);
    CHECK_FALSE(OutputFolder::create(scratch.write("file", "x")));
    CHECK_FALSE(OutputFolder::create(scratch.path() / "none" / "out"));
}

TEST_CASE("a folder that is given up is removed") {
    const ScratchFolder scratch;
    {
        auto folder = OutputFolder::create(scratch.path() / "out");
        REQUIRE(folder);
        std::ofstream(folder->path() / "a") << "x";
    }
    CHECK(entries(scratch.path()) == 0);
}

TEST_CASE("bytes written before can be replaced, others not") {
    const ScratchFolder folder;
    auto file = OutputFile::create(folder.path() / "a");
    REQUIRE(file);
    REQUIRE(file->write("0123456789", 10));
    REQUIRE(file->rewrite(2, "ab", 2));
    REQUIRE(file->write("xy", 2));
    CHECK(!file->rewrite(11, "ab", 2));
    REQUIRE(file->commit());
    CHECK(read_file(folder.path() / "a") == "01ab456789xy");
}

TEST_CASE("room for a result is asked for before it is made") {
    const ScratchFolder folder;
    for (const auto& target : {folder.path() / "a.gguf", folder.path() / "out" / "", fs::path("a.gguf")}) {
        CHECK(require_room(target, 1));
        const auto refused = require_room(target, uint64_t{1} << 62);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::io_error);
        CHECK(refused.error().message.find("will have 4611686018427387904 bytes, but the file system of") != std::string::npos);
        CHECK(refused.error().message.find(" free") != std::string::npos);
    }
    CHECK(require_room(folder.path() / "none" / "a", uint64_t{1} << 62));  // creating the file says what is wrong
}
