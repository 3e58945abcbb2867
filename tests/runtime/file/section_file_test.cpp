// Files of sections: every damage is seen, wherever it is.
#include "runtime/file/section_file.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::runtime;
using lapidary::test::read_file;
using lapidary::test::ScratchFolder;

namespace {

constexpr SectionFileKind kKind{{'T', 'E', 'S', 'T', 'F', 'I', 'L', 'E'}, 3, "a test file"};

void write(const std::filesystem::path& path, const std::string& header, const std::string& first, const std::string& second) {
    auto file = SectionWriter::create(path, kKind, header, first.size() + second.size(), 2);
    REQUIRE(file);
    for (const std::string* section : {&first, &second}) {
        REQUIRE(file->write(section->data(), section->size()));
        REQUIRE(file->end_section());
    }
    REQUIRE(file->finish());
}

Result<std::string> read(const std::filesystem::path& path, size_t first_bytes, size_t second_bytes) {
    auto file = SectionReader::open(path, kKind);
    if (!file) return file.error();
    std::string out = file->header();
    for (const size_t bytes : {first_bytes, second_bytes}) {
        std::string section(bytes, '\0');
        if (auto done = file->read(section.data(), bytes); !done) return done.error();
        if (auto done = file->end_section(); !done) return done.error();
        out += section;
    }
    if (file->left() != 0) return file->damaged("more");
    return out;
}

}  // namespace

TEST_CASE("sections come back as they were written") {
    const ScratchFolder folder;
    const auto path = folder.path() / "file";
    const std::string large(3 << 20, 'x');
    write(path, "{header}", large, "");
    CHECK(read(path, large.size(), 0).value() == "{header}" + large);
    write(path, "", "one", "two");  // in its place
    CHECK(read(path, 3, 3).value() == "onetwo");
}

TEST_CASE("a section file that lacks a byte, has one more or another one is refused") {
    const ScratchFolder folder;
    const auto path = folder.path() / "file";
    write(path, "{header}", "first section", "second");
    const std::string whole = read_file(path);
    const auto refused = [&](const std::string& bytes) {
        const auto got = read(folder.write("damaged", bytes), 13, 6);
        CHECK(got.error().code == Errc::bad_session_file);
        CHECK(got.error().message.find("damaged'") != std::string::npos);
    };
    for (size_t length = 0; length < whole.size(); ++length) refused(whole.substr(0, length));
    refused(whole + "x");
    for (size_t i = 0; i < whole.size(); ++i) {
        std::string other = whole;
        other[i] = static_cast<char>(other[i] ^ 0x10);
        refused(other);
    }
}

TEST_CASE("what is no section file, or of another version, is named") {
    const ScratchFolder folder;
    CHECK(read(folder.path() / "absent", 0, 0).error().code == Errc::not_found);
    CHECK(read(folder.path(), 0, 0).error().message.find("is not a test file") != std::string::npos);
    CHECK(read(folder.write("text", "just a text, and long enough for a header it is"), 0, 0).error().message.find("is not a test file") != std::string::npos);
    const auto path = folder.path() / "newer";
    write(path, "{}", "", "");
    std::string bytes = read_file(path);
    bytes[8] = 4;
    CHECK(read(folder.write("newer", bytes), 0, 0).error().message.find("has version 4 of the format of a test file, this program reads version 3") !=
          std::string::npos);
}

TEST_CASE("a section file that was announced otherwise does not appear") {
    const ScratchFolder folder;
    const auto path = folder.path() / "file";
    auto file = SectionWriter::create(path, kKind, "{}", 10, 1);
    REQUIRE(file);
    REQUIRE(file->write("short", 5));
    REQUIRE(file->end_section());
    CHECK(file->finish().error().code == Errc::internal);
    CHECK(!std::filesystem::exists(path));
}
