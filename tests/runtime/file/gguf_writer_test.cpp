// What the writer writes, the reader reads.
#include "runtime/file/gguf_writer.h"

#include <doctest/doctest.h>

#include <cstring>

#include "runtime/file/gguf.h"
#include "runtime/memory/host_access.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::runtime;
using lapidary::test::ScratchFolder;

TEST_CASE("keys and tensors come back") {
    const ScratchFolder folder;
    GgufWriter writer;
    writer.add("number", uint32_t{4000000000});
    writer.add("real", 0.5f);
    writer.add_flag("flag", true);
    writer.add_text("text", "h\xc3\xa4");
    writer.add_list("ints", std::vector<int32_t>{1, -2});
    writer.add_list("reals", std::vector<float>{0.25f});
    writer.add_flags("flags", {true, false});
    writer.add_texts("texts", {"a", ""});
    writer.add_tensor({.name = "small", .format = Format::f32, .shape = {3}});
    writer.add_tensor({.name = "blocks", .format = Format::q4_0, .shape = {2, 64}});
    writer.add_tensor({.name = "cube", .format = Format::bf16, .shape = {2, 3, 4}});
    REQUIRE(writer.start(folder.path() / "a.gguf"));
    std::string data;
    for (int i = 0; i < 12 + 72 + 48; i++) data += static_cast<char>(i);
    REQUIRE(writer.write(data.data(), 50));  // pieces need not match tensors
    REQUIRE(writer.write(data.data() + 50, data.size() - 50));
    REQUIRE(writer.finish());

    const auto file = open_gguf(folder.path() / "a.gguf");
    REQUIRE(file);
    CHECK(file->find("number")->integer() == 4000000000);
    CHECK(file->find("real")->number() == 0.5);
    CHECK(file->find("flag")->boolean() == true);
    CHECK(file->find("text")->text() == "h\xc3\xa4");
    CHECK(file->find("ints")->integers() == std::vector<int64_t>{1, -2});
    CHECK(file->find("reals")->describe() == "f32[1] 0.25");
    CHECK(file->find("flags")->integers() == std::vector<int64_t>{1, 0});
    CHECK(file->find("texts")->strings() == std::vector<std::string_view>{"a", ""});
    REQUIRE(file->tensors.size() == 3);
    CHECK(file->tensors[1].format == Format::q4_0);
    CHECK(file->tensors[2].shape == std::vector<int64_t>{2, 3, 4});
    size_t at = 0;
    for (const auto& tensor : file->tensors) {
        CHECK(std::memcmp(host_bytes(*file->parts[0].buffer) + tensor.offset, data.data() + at,
                          tensor.bytes) == 0);
        at += tensor.bytes;
    }
    CHECK(at == data.size());
}

TEST_CASE("too little and too much data are errors") {
    const ScratchFolder folder;
    GgufWriter writer;
    writer.add_tensor({.name = "a", .format = Format::f32, .shape = {4}});
    REQUIRE(writer.start(folder.path() / "a.gguf"));
    const char bytes[32] = {};
    REQUIRE(writer.write(bytes, 8));
    CHECK(writer.finish().error().code == Errc::internal);
    CHECK(writer.write(bytes, 32).error().code == Errc::internal);
    CHECK_FALSE(std::filesystem::exists(folder.path() / "a.gguf"));
}
