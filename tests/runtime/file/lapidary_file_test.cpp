// The .lapidary container: what was written comes back; any damage is found and named.
#include "runtime/file/lapidary_file.h"

#include <doctest/doctest.h>

#include <cstring>

#include "kernels/panels.h"
#include "runtime/file/lapidary_directory.h"
#include "runtime/file/lapidary_writer.h"
#include "runtime/memory/host_access.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::runtime;
using lapidary::test::read_file;
using lapidary::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

std::string pattern(size_t count, int seed) {
    std::string out;
    for (size_t i = 0; i < count; i++) out += static_cast<char>((i * 31 + static_cast<size_t>(seed)) % 251);
    return out;
}

// Two texts, a vector, a matrix in panels (20 rows: two panels) and a cube.
std::string write_sample(const fs::path& path) {
    LapidaryWriter out("gguf", "sample", "test 1");
    out.add_source({"a.gguf", 123, 456});
    out.add_text("gguf", "some text");
    out.add_text("empty", "");
    out.add_tensor({.name = "norm", .shape = {3}}, "gguf", Format::f32, Layout::rows);
    out.add_tensor({.name = "matrix", .shape = {20, 256}}, "gguf", Format::q4_0, Layout::panels);
    out.add_tensor({.name = "cube", .shape = {2, 3, 4}}, "mmproj", Format::bf16, Layout::rows);
    REQUIRE(out.start(path));
    const size_t panels = 2 * static_cast<size_t>(kernels::panel_bytes(Format::q4_0, 256));
    const std::string data = pattern(12 + panels + 48, 5);
    REQUIRE(out.write(data.data(), 100));  // pieces need not match tensors
    REQUIRE(out.write(data.data() + 100, data.size() - 100));
    const auto bytes = out.finish();
    REQUIRE(bytes);
    CHECK(*bytes == fs::file_size(path));
    return data;
}

std::string_view data_of(const LapidaryFile& file, size_t index) {
    const LapidaryTensor& t = file.tensors[index];
    return {reinterpret_cast<const char*>(host_bytes(*file.buffer) + t.offset), t.bytes};
}

Error error_of(const fs::path& path) {
    const auto opened = open_lapidary(path);
    if (opened) {
        const auto verified = verify_lapidary(*opened);
        REQUIRE(!verified);
        return verified.error();
    }
    return opened.error();
}

bool says(const Error& error, const std::string& words) {
    return error.message.find(words) != std::string::npos;
}

// The directory replaced by `change`d bytes of the same size, with checksums that fit: a writer that lies.
template <class Change>
fs::path forged(const ScratchFolder& folder, std::string bytes, Change change) {
    uint64_t directory_bytes = 0;
    std::memcpy(&directory_bytes, bytes.data() + 16, sizeof directory_bytes);
    std::string directory = bytes.substr(kLapidaryHeaderBytes, directory_bytes);
    change(directory);
    const std::string header = encode_header({directory_bytes, bytes.size(), checksum_of(directory)});
    bytes.replace(0, header.size() + directory.size(), header + directory);
    return folder.write("forged.lapidary", bytes);
}

void put_u32(std::string& bytes, size_t at, uint32_t value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

}  // namespace

TEST_CASE("lapidary file: what was written comes back, aligned") {
    const ScratchFolder folder;
    const fs::path path = folder.path() / "a.lapidary";
    const std::string data = write_sample(path);
    CHECK(is_lapidary_file(path));
    const auto file = open_lapidary(path);
    REQUIRE(file);
    CHECK(file->kind == "gguf");
    CHECK(file->title == "sample");
    CHECK(file->writer == "test 1");
    REQUIRE(file->sources.size() == 1);
    CHECK(file->sources[0].name == "a.gguf");
    CHECK(file->sources[0].bytes == 123);
    CHECK(file->sources[0].modified_s == 456);
    CHECK(file->text("gguf") == "some text");
    CHECK(file->has_text("empty"));
    CHECK(file->text("empty").empty());
    CHECK_FALSE(file->has_text("absent"));
    REQUIRE(file->tensors.size() == 3);
    CHECK(file->tensors[1].layout == Layout::panels);
    CHECK(file->tensors[1].shape == std::vector<int64_t>{20, 256});
    CHECK(file->tensors[2].group == "mmproj");
    std::string all;
    for (size_t i = 0; i < 3; i++) {
        CHECK(file->tensors[i].offset % kLapidaryAlignment == 0);
        all += data_of(*file, i);
    }
    CHECK(all == data);
    uint64_t last = 0, total = 0;
    REQUIRE(verify_lapidary(*file, [&](uint64_t done, uint64_t whole) {
        last = done;
        total = whole;
        return true;
    }));
    CHECK(last == data.size());
    CHECK(total == data.size());
    const auto stopped = verify_lapidary(*file, [](uint64_t, uint64_t) { return false; });
    REQUIRE(!stopped);
    CHECK(stopped.error().code == Errc::cancelled);
}

TEST_CASE("lapidary file: cut short or grown at any place, it is refused") {
    const ScratchFolder folder;
    const fs::path path = folder.path() / "a.lapidary";
    write_sample(path);
    const std::string whole = read_file(path);
    for (size_t size = 1; size < whole.size(); size += size < 600 ? 1 : 997) {
        const auto opened = open_lapidary(folder.write("cut.lapidary", whole.substr(0, size)));
        REQUIRE(!opened);
        CHECK(opened.error().code == Errc::bad_model_file);
    }
    CHECK(says(error_of(folder.write("cut.lapidary", whole.substr(0, whole.size() - 1))), "its header says"));
    CHECK(says(error_of(folder.write("long.lapidary", whole + "x")), "its header says"));
}

TEST_CASE("lapidary file: for the front alone the tensors may be cut off, the texts not") {
    const ScratchFolder folder;
    const fs::path path = folder.path() / "a.lapidary";
    write_sample(path);
    const std::string whole = read_file(path);
    const auto full = open_lapidary(path);
    REQUIRE(full);
    const size_t texts_end = full->texts.front().offset + full->texts.front().bytes;
    REQUIRE(texts_end < full->tensors.front().offset);
    const auto front = open_lapidary(folder.write("cut.lapidary", whole.substr(0, texts_end)), Extent::front);
    REQUIRE(front);
    CHECK(front->text("gguf") == "some text");
    CHECK(front->tensors.size() == 3);
    for (size_t size = 0; size < texts_end; size++) {
        const auto opened = open_lapidary(folder.write("cut.lapidary", whole.substr(0, size)), Extent::front);
        REQUIRE(!opened);
        CHECK(opened.error().code == Errc::bad_model_file);
    }
}

TEST_CASE("lapidary file: a flipped bit anywhere is found, in a tensor, the tensor is named") {
    const ScratchFolder folder;
    const fs::path path = folder.path() / "a.lapidary";
    write_sample(path);
    const std::string whole = read_file(path);
    const auto file = open_lapidary(path);
    REQUIRE(file);
    const size_t texts_end = file->texts.back().offset + file->texts.back().bytes;
    for (size_t at = 0; at < texts_end; at++) {
        std::string bad = whole;
        bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
        CAPTURE(at);
        CHECK(!open_lapidary(folder.write("bad.lapidary", bad)));
    }
    for (const LapidaryTensor& tensor : file->tensors)
        for (const uint64_t at : {uint64_t{0}, tensor.bytes / 2, tensor.bytes - 1}) {
            std::string bad = whole;
            bad[tensor.offset + at] = static_cast<char>(bad[tensor.offset + at] ^ 16);
            const Error error = error_of(folder.write("bad.lapidary", bad));
            CHECK(error.code == Errc::bad_model_file);
            CHECK(says(error, "tensor '" + tensor.name + "'"));
        }
}

TEST_CASE("lapidary file: verifying covers every byte, what fills up between parts included") {
    const ScratchFolder folder;
    const fs::path path = folder.path() / "a.lapidary";
    write_sample(path);
    const std::string whole = read_file(path);
    size_t undetected = 0, padding = 0;
    constexpr size_t kStep = 1009;  // most of a file this small is padding
    for (size_t at = 0; at < whole.size(); at += kStep) {
        std::string bad = whole;
        bad[at] = static_cast<char>(bad[at] ^ 0x20);
        const auto opened = open_lapidary(folder.write("bad.lapidary", bad));
        if (!opened) continue;
        const auto verified = verify_lapidary(*opened, {});
        undetected += verified.has_value();
        padding += !verified && says(verified.error(), "between its parts, is not zero");
    }
    CHECK(undetected == 0);
    CHECK(padding > 0);
    CHECK(verify_lapidary(*open_lapidary(path), {}));
}

TEST_CASE("lapidary file: a GGUF file of that name is called one") {
    const ScratchFolder folder;
    CHECK(says(error_of(folder.write("model.lapidary", "GGUF and so on")), "is a GGUF file, whatever its name says"));
}

TEST_CASE("lapidary file: another version is stale, an unknown layout or type is named") {
    const ScratchFolder folder;
    const fs::path path = folder.path() / "a.lapidary";
    write_sample(path);
    const std::string whole = read_file(path);
    std::string newer = whole;
    put_u32(newer, 8, 2);
    const Error stale = error_of(folder.write("newer.lapidary", newer));
    CHECK(stale.code == Errc::unsupported_model);
    CHECK(says(stale, "stale"));
    CHECK(says(stale, "version 2"));
    // After the name and group of "matrix": format, layout, rank.
    const auto after_matrix = [](std::string& d) { return d.find("matrix") + 6 + 4 + 4; };
    const Error layout =
        error_of(forged(folder, whole, [&](std::string& d) { put_u32(d, after_matrix(d) + 4, 7); }));
    CHECK(layout.code == Errc::unsupported_model);
    CHECK(says(layout, "'matrix'"));
    CHECK(says(layout, "layout 7"));
    const Error type =
        error_of(forged(folder, whole, [&](std::string& d) { put_u32(d, after_matrix(d), 99); }));
    CHECK(type.code == Errc::unsupported_model);
    CHECK(says(type, "type 'number 99'"));
}

TEST_CASE("lapidary file: directories that lie are refused without harm") {
    const ScratchFolder folder;
    const fs::path path = folder.path() / "a.lapidary";
    write_sample(path);
    const std::string whole = read_file(path);
    uint64_t directory_bytes = 0;
    std::memcpy(&directory_bytes, whole.data() + 16, sizeof directory_bytes);
    for (size_t at = 0; at < directory_bytes;
         at++)  // names aside, every byte is a number that someone trusts
        for (const int value : {0x00, 0x7f, 0xff}) {
            CAPTURE(at);
            const auto opened = open_lapidary(
                forged(folder, whole, [&](std::string& d) { d[at] = static_cast<char>(value); }));
            if (!opened) continue;
            for (const LapidaryTensor& tensor : opened->tensors) {
                CHECK(tensor.offset + tensor.bytes <= whole.size());
                CHECK(tensor.bytes == tensor.bytes_as(tensor.format, tensor.layout));
            }
        }
}

TEST_CASE("lapidary file: other files are not taken for one") {
    const ScratchFolder folder;
    CHECK_FALSE(is_lapidary_file(folder.write("a", "LAPIDAR")));
    CHECK_FALSE(is_lapidary_file(folder.path() / "absent"));
    CHECK(says(error_of(folder.write("a", "RIFF and more")), "not a .lapidary file"));
    CHECK(open_lapidary(folder.path() / "absent").error().code == Errc::model_not_found);
}
