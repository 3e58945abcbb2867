// The safetensors reader: single files, shards, and files that are broken in one place each.
#include "runtime/file/safetensors.h"

#include <doctest/doctest.h>

#include "tests/support/safetensors_builder.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::runtime;
using lapidary::test::bytes_of;
using lapidary::test::safetensors_file;
using lapidary::test::SafetensorsBuilder;
using lapidary::test::ScratchFolder;

namespace {

void refuses(const std::string& file, const std::string& words, Errc code = Errc::bad_model_file) {
    const ScratchFolder folder;
    const auto opened = open_safetensors(folder.write("a.safetensors", file));
    CAPTURE(words);
    REQUIRE_FALSE(opened);
    CAPTURE(opened.error().message);
    CHECK(opened.error().code == code);
    CHECK(opened.error().message.find(words) != std::string::npos);
}

void refuses_folder(const ScratchFolder& folder, const std::string& words, Errc code = Errc::bad_model_file) {
    const auto opened = open_safetensors_folder(folder.path());
    CAPTURE(words);
    REQUIRE_FALSE(opened);
    CAPTURE(opened.error().message);
    CHECK(opened.error().code == code);
    CHECK(opened.error().message.find(words) != std::string::npos);
}

std::string one(const std::string& entry, size_t data_bytes = 16) {
    return safetensors_file("{\"t\":" + entry + "}", std::string(data_bytes, '\0'));
}

}  // namespace

TEST_CASE("tensors are listed in the order of their data") {
    SafetensorsBuilder b;
    b.floats("z", {2, 3}, 1.0f).tensor("a", "BF16", {4}, std::string(8, '\1')).tensor("s", "F16", {}, "xy");
    const ScratchFolder folder;
    const std::string file = b.build();
    const auto opened = open_safetensors(folder.write("a.safetensors", file));
    REQUIRE(opened);
    REQUIRE(opened->tensors.size() == 3);
    CHECK(opened->tensors[0].name == "z");
    CHECK(opened->tensors[0].shape == std::vector<int64_t>{2, 3});
    CHECK(opened->tensors[0].format == Format::f32);
    CHECK(opened->tensors[1].format == Format::bf16);
    CHECK(file.substr(opened->tensors[1].offset, 8) == std::string(8, '\1'));
    CHECK(opened->tensors[2].shape.empty());
    CHECK(file.substr(opened->tensors[2].offset, 2) == "xy");
}

TEST_CASE("headers that make no sense are refused") {
    refuses("", "is empty");
    refuses("short", "has only 5 bytes");
    refuses(std::string("not a tensor file at all"), "is not a safetensors file");
    refuses(bytes_of(UINT64_MAX) + "{}", "is not a safetensors file");
    refuses(bytes_of(uint64_t{1} << 63) + "{}", "is not a safetensors file");
    refuses(bytes_of(uint64_t{100}) + "{}", "is damaged: its header claims 100 bytes");
    refuses("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a pointer of Git LFS");
    refuses(safetensors_file("", ""), "is not valid JSON");
    refuses(safetensors_file("{\"t\":", ""), "is not valid JSON");
    refuses(safetensors_file("[]", ""), "is not a JSON object");
    refuses(safetensors_file("{\"t\":\"\xff\"}", ""), "is not valid JSON");
    refuses(safetensors_file("{\"a\":" + std::string(100000, '['), ""), "nested deeper");
}

TEST_CASE("tensors that make no sense are refused") {
    refuses(one("7"), "is not described by an object");
    refuses(one(R"({"dtype":"F32","shape":[4]})"), "lacks dtype, shape or data_offsets");
    refuses(one(R"({"dtype":1,"shape":[4],"data_offsets":[0,16]})"), "of the wrong kind");
    refuses(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16,32]})"), "of the wrong kind");
    refuses(one(R"({"dtype":"F32","shape":[-4],"data_offsets":[0,16]})"), "no number from 0");
    refuses(one(R"({"dtype":"F32","shape":[4.0],"data_offsets":[0,16]})"), "no number from 0");
    refuses(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,16]})"),
            "no number from 0");
    refuses(one(R"({"dtype":"F32","shape":[0],"data_offsets":[0,4]})"), "needs 0 bytes, the file gives it 4");
    refuses(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]})"),
            "impossible dimension");
    refuses(one(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]})"), "9 dimensions");
    refuses(one(R"({"dtype":"F32","shape":[5],"data_offsets":[0,20]})"), "outside the 16 bytes");
    refuses(one(R"({"dtype":"F32","shape":[4],"data_offsets":[8,4]})"), "which is no range");
    refuses(one(R"({"dtype":"F32","shape":[4],"data_offsets":[-16,0]})"), "which is no range");
    refuses(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,16]})"),
            "needs 12 bytes, the file gives it 16");
    const std::string entry = R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})";
    refuses(safetensors_file("{\"t\":" + entry + ",\"t\":" + entry + "}", std::string(16, '\0')),
            "'t' occurs twice");
    refuses(safetensors_file("{\"t\":" + entry + ",\"u\":" + entry + "}", std::string(16, '\0')), "overlap");
}

TEST_CASE("tensors of other types and empty ones are listed") {
    SafetensorsBuilder b;
    b.floats("a", {4}, 1).tensor("none", "BF16", {3, 0}, "").tensor("mask", "U16", {3}, std::string(6, '\1'));
    b.tensor("steps", "F64", {1}, std::string(8, '\2')).tensor("later", "F4_NEW", {4}, "xy");
    const ScratchFolder folder;
    const auto opened = open_safetensors(folder.write("a.safetensors", b.build()));
    if (!opened) FAIL(opened.error().message);
    REQUIRE(opened->tensors.size() == 5);
    const auto& list = opened->tensors;
    CHECK(list[0].foreign_type.empty());
    CHECK(list[1].name == "none");
    CHECK(list[1].bytes == 0);
    CHECK(list[1].shape == std::vector<int64_t>{3, 0});
    CHECK(list[2].foreign_type == "U16");
    CHECK(list[2].bytes == 6);
    CHECK(list[3].foreign_type == "F64");
    CHECK(list[4].foreign_type == "F4_NEW");
}

TEST_CASE("a file cut at any byte is refused") {
    const ScratchFolder folder;
    const std::string file = test::small_safetensors().build();
    const size_t header = 8 + test::small_safetensors().header().size();
    size_t refused = 0, tried = 0;
    for (size_t size = 0; size < file.size(); size += size < header ? 1 : 61) {
        tried++;
        const auto opened = open_safetensors(folder.write("a.safetensors", file.substr(0, size)));
        if (!opened && opened.error().code == Errc::bad_model_file) refused++;
    }
    CHECK(refused == tried);
    CHECK(open_safetensors(folder.write("a.safetensors", file)));
}

TEST_CASE("shards are joined by the index") {
    const ScratchFolder folder;
    folder.write("m-1.safetensors", SafetensorsBuilder().floats("a", {4}, 1).build());
    folder.write("m-2.safetensors", SafetensorsBuilder().floats("b", {4}, 2).build());
    const auto index = [&](const std::string& map) { folder.write("model.safetensors.index.json", map); };
    const std::string good = R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})";
    index(good);
    const auto opened = open_safetensors_folder(folder.path());
    REQUIRE(opened);
    CHECK(opened->parts.size() == 2);
    CHECK(opened->tensors.size() == 2);

    SUBCASE("a missing shard is named with a tensor of it") {
        std::filesystem::remove(folder.path() / "m-2.safetensors");
        refuses_folder(folder, "the shard 'm-2.safetensors' with tensor 'b' is missing",
                       Errc::model_not_found);
    }
    SUBCASE("a tensor of the index that no shard holds is left to who needs it") {
        index(R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}})");
        const auto without = open_safetensors_folder(folder.path());
        REQUIRE(without);
        CHECK(without->tensors.size() == 2);
    }
    SUBCASE("a tensor that lies in another shard is refused") {
        index(R"({"weight_map":{"a":"m-2.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}})");
        refuses_folder(folder, "the index places tensor 'a' in 'm-2.safetensors', but 'm-1.safetensors' holds it");
    }
    SUBCASE("a tensor in two shards is refused") {
        folder.write("m-2.safetensors", SafetensorsBuilder().floats("b", {4}, 2).floats("a", {4}, 1).build());
        refuses_folder(folder, "tensor 'a' lies in two shards");
    }
    SUBCASE("paths that leave the folder are refused") {
        for (const char* path : {"../x", "/etc/passwd", "sub/x", "..", ".", "", "a\\\\b"}) {
            index(std::string(R"({"weight_map":{"a":")") + path + "\"}}");
            refuses_folder(folder, "not a file of the same folder");
        }
    }
    SUBCASE("an index of the wrong form is refused") {
        for (const char* text :
             {"{}", R"({"weight_map":{}})", R"({"weight_map":[]})", R"({"weight_map":3})"}) {
            index(text);
            refuses_folder(folder, "has no weight_map");
        }
        index(R"({"weight_map":{"a":3}})");
        refuses_folder(folder, "not a file of the same folder");
        index(R"({"weight_map":{"a":"m-1.safetensors","a":"m-2.safetensors"}})");
        refuses_folder(folder, "'a' occurs twice");
        index("");
        refuses_folder(folder, "is not valid JSON");
    }
}

TEST_CASE("a folder without weights is refused") {
    const ScratchFolder folder;
    refuses_folder(folder, "holds neither model.safetensors nor model.safetensors.index.json",
                   Errc::model_not_found);
}
