// The writer of .lapidary files: nothing loads before it is whole, and it notices a caller that miscounts.
#include "runtime/file/lapidary_writer.h"

#include <doctest/doctest.h>

#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::runtime;
using lapidary::test::read_file;
using lapidary::test::ScratchFolder;
namespace fs = std::filesystem;

TEST_CASE("lapidary writer: given up half-way it leaves nothing, the unfinished file is none") {
    const ScratchFolder folder;
    {
        LapidaryWriter out("hf", "half", "test");
        out.add_tensor({.name = "a", .shape = {1 << 20}}, "", Format::f32, Layout::rows);
        REQUIRE(out.start(folder.path() / "half.lapidary"));
        const std::string data(3 << 20, 'x');
        REQUIRE(out.write(data.data(), data.size()));
        CHECK(!out.finish());  // a quarter is missing
        const auto part = fs::directory_iterator(folder.path())->path();
        CHECK(part.filename() != "half.lapidary");
        CHECK_FALSE(is_lapidary_file(part));
        CHECK(!open_lapidary(part));
    }
    CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("lapidary writer: too many bytes are the caller's fault") {
    const ScratchFolder folder;
    LapidaryWriter out("hf", "", "test");
    out.add_tensor({.name = "a", .shape = {1}}, "", Format::f32, Layout::rows);
    REQUIRE(out.start(folder.path() / "a.lapidary"));
    const auto written = out.write("12345", 5);
    REQUIRE(!written);
    CHECK(written.error().code == Errc::internal);
}

TEST_CASE("lapidary writer: no tensors, no texts") {
    const ScratchFolder folder;
    LapidaryWriter out("hf", "", "");
    REQUIRE(out.start(folder.path() / "a.lapidary"));
    REQUIRE(out.finish());
    const auto file = open_lapidary(folder.path() / "a.lapidary");
    REQUIRE(file);
    CHECK(file->tensors.empty());
    CHECK(verify_lapidary(*file));
}

TEST_CASE("lapidary writer: a folder that is not there is an error") {
    const ScratchFolder folder;
    LapidaryWriter out("hf", "", "");
    const auto started = out.start(folder.path() / "no" / "a.lapidary");
    REQUIRE(!started);
    CHECK(started.error().code == Errc::io_error);
}

TEST_CASE("lapidary writer: a title of any length gives a file that opens") {
    const ScratchFolder folder;
    LapidaryWriter out("gguf", std::string(100000, 't'), "test");
    REQUIRE(out.start(folder.path() / "a.lapidary"));
    REQUIRE(out.finish());
    const auto file = open_lapidary(folder.path() / "a.lapidary");
    REQUIRE(file);
    CHECK(file->title == std::string(1024, 't'));
}

TEST_CASE("lapidary writer: a file larger than the disk is refused before anything is written") {
    const ScratchFolder folder;
    LapidaryWriter out("hf", "", "test");
    out.add_tensor({.name = "a", .shape = {int64_t{1} << 58}}, "", Format::f32, Layout::rows);
    const auto started = out.start(folder.path() / "a.lapidary");
    REQUIRE(!started);
    CHECK(started.error().code == Errc::io_error);
    CHECK(started.error().message.find("free") != std::string::npos);
    CHECK(fs::is_empty(folder.path()));
}
