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
    refuses(std::string("not a tensor file at all"), "its header claims");
    refuses(bytes_of(UINT64_MAX) + "{}", "its header claims");
    refuses(bytes_of(uint64_t{1} << 63) + "{}", "its header claims");
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
    refuses(one(R"({"dtype":"I64","shape":[2],"data_offsets":[0,16]})"), "type 'I64'",
            Errc::unsupported_model);
    refuses(one(R"({"dtype":"F8_E4M3","shape":[16],"data_offsets":[0,16]})"), "F8_E4M3",
            Errc::unsupported_model);
    refuses(one(R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})"), "no number above 0");
    refuses(one(R"({"dtype":"F32","shape":[-4],"data_offsets":[0,16]})"), "no number above 0");
    refuses(one(R"({"dtype":"F32","shape":[4.0],"data_offsets":[0,16]})"), "no number above 0");
    refuses(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,16]})"),
            "no number above 0");
    refuses(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]})"),
            "impossible dimension");
    refuses(one(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]})"), "9 dimensions");
    refuses(one(R"({"dtype":"F32","shape":[5],"data_offsets":[0,20]})"), "outside the 16 bytes");
    refuses(one(R"({"dtype":"F32","shape":[4],"data_offsets":[8,4]})"), "outside the 16 bytes");
    refuses(one(R"({"dtype":"F32","shape":[4],"data_offsets":[-16,0]})"), "outside the 16 bytes");
    refuses(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,16]})"),
            "needs 12 bytes, the file gives it 16");
    const std::string entry = R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})";
    refuses(safetensors_file("{\"t\":" + entry + ",\"t\":" + entry + "}", std::string(16, '\0')),
            "'t' occurs twice");
    refuses(safetensors_file("{\"t\":" + entry + ",\"u\":" + entry + "}", std::string(16, '\0')), "overlap");
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
    SUBCASE("a tensor that its shard lacks is named") {
        index(R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}})");
        refuses_folder(folder, "the index places tensor 'c' in 'm-1.safetensors'");
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
