// The GGUF reader: values of every type, split files, and files that are broken in one place each.
#include "runtime/file/gguf.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>

#include "runtime/file/gguf_parse.h"
#include "runtime/file/gguf_types.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::runtime;
using lapidary::test::bytes_of;
using lapidary::test::counted;
using lapidary::test::GgufBuilder;
using lapidary::test::ScratchFolder;

namespace {

// Parses a copy that ends exactly where the text ends, so that a sanitizer sees any step beyond it.
Result<GgufHeader> parse(const std::string& file) {
    const std::vector<char> exact(file.begin(), file.end());
    auto header = parse_gguf({exact.data(), exact.size()}, "test.gguf");
    if (header) header->metadata.clear();  // would dangle
    return header;
}

void refuses(const GgufBuilder& builder, const std::string& words, Errc code = Errc::bad_model_file) {
    const auto header = parse(builder.build());
    REQUIRE_FALSE(header);
    CHECK(header.error().code == code);
    CAPTURE(header.error().message);
    CHECK(header.error().message.find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("values of every type are read back") {
    const ScratchFolder folder;
    GgufBuilder b;
    b.raw("u8", 0, bytes_of<uint8_t>(200))
        .raw("i8", 1, bytes_of<int8_t>(-5))
        .raw("u16", 2, bytes_of<uint16_t>(60000));
    b.raw("i16", 3, bytes_of<int16_t>(-300))
        .u32("u32", 4000000000u)
        .raw("i32", 5, bytes_of(-7))
        .f32("f32", 1.5f);
    b.boolean("yes", true)
        .boolean("no", false)
        .text("text", "h\xc3\xa4")
        .raw("u64", 10, bytes_of(UINT64_MAX));
    b.raw("i64", 11, bytes_of<int64_t>(-9)).raw("f64", 12, bytes_of(2.25));
    b.strings("words", {"a", "", "ccc"}).ints("list", {1, -2, 3}).bools("flags", {true, false});
    const auto file = open_gguf(folder.write("a.gguf", b.build()));
    REQUIRE(file);
    CHECK(file->find("u8")->integer() == 200);
    CHECK(file->find("i8")->integer() == -5);
    CHECK(file->find("u16")->integer() == 60000);
    CHECK(file->find("i16")->integer() == -300);
    CHECK(file->find("u32")->integer() == 4000000000);
    CHECK(file->find("i32")->integer() == -7);
    CHECK(file->find("f32")->number() == 1.5);
    CHECK_FALSE(file->find("f32")->integer());
    CHECK(file->find("yes")->boolean() == true);
    CHECK(file->find("no")->boolean() == false);
    CHECK(file->find("text")->text() == "h\xc3\xa4");
    CHECK_FALSE(file->find("u64")->integer());  // does not fit
    CHECK(file->find("i64")->integer() == -9);
    CHECK(file->find("f64")->number() == 2.25);
    CHECK(file->find("words")->strings() == std::vector<std::string_view>{"a", "", "ccc"});
    CHECK(file->find("list")->integers() == std::vector<int64_t>{1, -2, 3});
    CHECK(file->find("flags")->integers() == std::vector<int64_t>{1, 0});
    CHECK_FALSE(file->find("list")->strings());
    CHECK_FALSE(file->find("text")->number());
    CHECK(file->find("list")->describe() == "i32[3] 1, -2, 3");
    CHECK(file->find("words")->describe() == "string[3]");
    CHECK(file->find("text")->describe(1) == "h...");
    CHECK(file->find("absent") == nullptr);
}

TEST_CASE("tensors are placed after the aligned header") {
    GgufBuilder b;
    b.floats("one", {3, 2}, 1.0f).floats("two", {5}, 2.0f);
    const std::string file = b.build();
    const ScratchFolder folder;
    const auto gguf = open_gguf(folder.write("a.gguf", file));
    REQUIRE(gguf);
    const FileTensor* two = gguf->find_tensor("two");
    REQUIRE(two);
    CHECK(gguf->find_tensor("one")->shape == std::vector<int64_t>{2, 3});
    CHECK(two->bytes == 20);
    CHECK(two->offset % 32 == 0);
    CHECK(file.substr(two->offset, 4) == bytes_of(2.0f));
    CHECK(gguf->find_tensor("three") == nullptr);
}

TEST_CASE("version 2 is read, others are refused") {
    GgufBuilder b = test::small_gguf();
    b.version = 2;
    CHECK(parse(b.build()));
    for (const uint32_t version : {0u, 1u, 4u, 99u}) {
        b.version = version;
        refuses(b, "has GGUF version " + std::to_string(version), Errc::unsupported_model);
    }
    b.version = 3u << 24;
    refuses(b, "big-endian", Errc::unsupported_model);
    b.version = 3;
    b.magic ^= 1;
    refuses(b, "is not a GGUF file");
}

TEST_CASE("a file that is cut in its header is called cut, wherever that is") {
    const std::string whole = test::small_gguf().build();
    const ScratchFolder folder;
    for (const size_t size : {size_t{24}, size_t{25}, size_t{77}, size_t{400}, whole.size() / 2}) {
        CAPTURE(size);
        const auto cut = open_gguf(folder.write("cut.gguf", whole.substr(0, size)));
        REQUIRE_FALSE(cut);
        CAPTURE(cut.error().message);
        CHECK(cut.error().message.find("is damaged: ") != std::string::npos);
        CHECK(cut.error().hint == "it was not copied or fetched to its end: fetch it again");
    }
}

TEST_CASE("absurd counts and lengths are refused before anything is allocated") {
    GgufBuilder b = test::small_gguf();
    for (const uint64_t count : {uint64_t{1} << 63, UINT64_MAX, uint64_t{1} << 40}) {
        GgufBuilder keys = b, tensors = b, list = b;
        keys.key_count = count;
        refuses(keys, "keys in");
        tensors.tensor_count = count;
        refuses(tensors, "tensors in");
        list.array("list", GgufBuilder::kString, count, "");
        refuses(list, "inside the value of 'list'");
        list.array("list", GgufBuilder::kU64, count, "");
        refuses(list, "inside the value of 'list'");
        refuses(GgufBuilder(b).raw("text", GgufBuilder::kString, bytes_of(count)),
                "inside the value of 'text'");
    }
}

TEST_CASE("metadata that makes no sense is refused") {
    const GgufBuilder b = test::small_gguf();
    GgufBuilder twice = b;
    twice.keys.push_back(twice.keys.front());
    refuses(twice, "key 'general.architecture' occurs twice");
    refuses(GgufBuilder(b).raw("odd", 13, ""), "unknown type 13");
    refuses(GgufBuilder(b).array("odd", 77, 0, ""), "array of the unknown type 77");
    std::string deep;
    for (int i = 0; i < 20; i++) deep = bytes_of(uint32_t{GgufBuilder::kArray}) + bytes_of(uint64_t{1}) + deep;
    refuses(GgufBuilder(b).array("nested", GgufBuilder::kArray, 1, deep), "deeper than 16");
    refuses(GgufBuilder(b).array("nested", GgufBuilder::kArray, uint64_t{1} << 50, ""), "inside the value of 'nested'");
    refuses(GgufBuilder(b).u32("general.alignment", 0), "power of two");
    refuses(GgufBuilder(b).u32("general.alignment", 48), "power of two");
    refuses(GgufBuilder(b).text("general.alignment", "32"), "power of two");
    refuses(GgufBuilder(b).u32(std::string(65536, 'k'), 0), "has 65536 bytes, more than 65535");
}

TEST_CASE("tensors that make no sense are refused") {
    const GgufBuilder b = test::small_gguf();
    const auto broken = [&](const std::function<void(GgufBuilder::Tensor&)>& change, const std::string& words,
                            Errc code = Errc::bad_model_file) {
        GgufBuilder copy = b;
        change(*copy.find("blk.0.attn_q.weight"));
        refuses(copy, words, code);
    };
    using Tensor = GgufBuilder::Tensor;
    broken([](Tensor& t) { t.name = "output_norm.weight"; }, "tensor 'output_norm.weight' occurs twice");
    broken([](Tensor& t) { t.extents = std::vector<uint64_t>(17, 1); }, "has 17 dimensions");
    broken([](Tensor& t) { t.extents = {8, uint64_t{1} << 61}; }, "impossible dimension");
    broken([](Tensor& t) { t.extents = {UINT64_MAX, UINT64_MAX}; }, "impossible dimension");
    broken([](Tensor& t) { t.extents = {8, 1 << 20}; }, "needs 33554432 bytes");
    broken([](Tensor& t) { t.offset = 4; }, "not a multiple of 32");
    broken([](Tensor& t) { t.offset = UINT64_MAX - 31; }, "but the data has");
    broken([](Tensor& t) { t.offset = uint64_t{1} << 62; }, "but the data has");
    broken([](Tensor& t) { t.offset = 0; }, "overlap");
    broken([](Tensor& t) { t.type = 2; }, "not a multiple of the 32 of q4_0");
}

TEST_CASE("what the format allows and a model does not need is listed") {
    const ScratchFolder folder;
    GgufBuilder b = test::small_gguf();
    const std::string inner = bytes_of(uint32_t{GgufBuilder::kString}) + bytes_of(uint64_t{2}) + counted("a") + counted("") +
                              bytes_of(uint32_t{GgufBuilder::kU32}) + bytes_of(uint64_t{1}) + bytes_of(7u);
    b.array("vendor.table", GgufBuilder::kArray, 2, inner).u32(std::string(65535, 'k'), 5);
    b.text("vendor.after", "still read");
    b.tensors.push_back({"empty", {0, 5}, 0, ""});
    b.tensors.push_back({"scalar", {}, 0, bytes_of(2.0f)});
    b.tensors.push_back({"many.dims", {1, 1, 1, 1, 1, 2}, 0, bytes_of(1.0f) + bytes_of(1.0f)});
    b.tensors.push_back({"doubles", {3}, 28, std::string(24, '\1')});
    b.tensors.push_back({"ternary", {256}, 35, std::string(66, '\1')});
    b.tensors.push_back({"from.tomorrow", {2}, 200, "xy"});
    const auto file = open_gguf(folder.write("a.gguf", b.build()));
    if (!file) FAIL(file.error().message);
    CHECK(file->find("vendor.table")->describe() == "array[2]");
    CHECK_FALSE(file->find("vendor.table")->integers());
    CHECK_FALSE(file->find("vendor.table")->strings());
    CHECK(file->find("vendor.after")->text() == "still read");
    CHECK(file->find(std::string(65535, 'k'))->integer() == 5);
    CHECK(file->find_tensor("empty")->bytes == 0);
    CHECK(file->find_tensor("empty")->shape == std::vector<int64_t>{5, 0});
    CHECK(file->find_tensor("scalar")->shape.empty());
    CHECK(file->find_tensor("scalar")->bytes == 4);
    CHECK(file->find_tensor("many.dims")->shape.size() == 6);
    CHECK(file->find_tensor("doubles")->foreign_type == "f64");
    CHECK(file->find_tensor("doubles")->bytes == 32);  // to the next tensor
    CHECK(file->find_tensor("ternary")->foreign_type == "tq2_0");
    CHECK(file->find_tensor("from.tomorrow")->foreign_type == "number 200");
    CHECK(file->find_tensor("from.tomorrow")->bytes == 32);
}

TEST_CASE("a type that is not read must lie inside the file too") {
    GgufBuilder b = test::small_gguf();
    b.tensors.push_back({"odd", {3}, 28, std::string(24, '\1'), uint64_t{1} << 40});
    refuses(b, "tensor 'odd' needs 0 bytes at");
}

TEST_CASE("every published number of a type has a name") {
    for (uint32_t number = 0; number <= 42; number++) {
        CAPTURE(number);
        CHECK((gguf_format(number) || gguf_foreign_type(number).find("number") == std::string::npos));
    }
}

TEST_CASE("only a file that ends too early is called damaged") {
    const std::string file = test::small_gguf().build();
    const auto cut = parse(file.substr(0, file.size() / 2));
    REQUIRE_FALSE(cut);
    CHECK(cut.error().message.find("is damaged") != std::string::npos);
    GgufBuilder twice = test::small_gguf();
    twice.keys.push_back(twice.keys.front());
    const auto odd = parse(twice.build());
    REQUIRE_FALSE(odd);
    CHECK(odd.error().message.find("damaged") == std::string::npos);
}

TEST_CASE("a file cut at any byte of its header, or in its data, is refused") {
    const GgufBuilder b = test::small_gguf();
    const std::string file = b.build();
    const size_t header = b.header().size();
    REQUIRE(parse(file));
    size_t refused = 0, tried = 0;
    for (size_t size = 0; size < file.size() - 31; size += size < header ? 1 : 97) {
        tried++;
        const auto result = parse(file.substr(0, size));
        if (!result && result.error().code == Errc::bad_model_file) refused++;
    }
    CHECK(refused == tried);
}

TEST_CASE("for the front alone a file need not have its data, but a whole header") {
    const ScratchFolder folder;
    const GgufBuilder b = test::small_gguf();
    const std::string file = b.build(), header = b.header();
    const auto whole = open_gguf(folder.write("whole.gguf", file));
    REQUIRE(whole);
    CHECK(whole->extent == Extent::whole);
    const auto path = folder.write("cut.gguf", header);
    CHECK_FALSE(open_gguf(path));
    const auto front = open_gguf(path, Extent::front);
    REQUIRE(front);
    CHECK(front->extent == Extent::front);
    CHECK(front->metadata.size() == whole->metadata.size());
    REQUIRE(front->tensors.size() == whole->tensors.size());
    CHECK(front->tensors.back().shape == whole->tensors.back().shape);
    const auto cut = open_gguf(folder.write("cut.gguf", header.substr(0, header.size() - 1)), Extent::front);
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == Errc::bad_model_file);
}

TEST_CASE("a split model opens from any part") {
    const ScratchFolder folder;
    std::vector<std::string> names;
    for (int i = 0; i < 3; i++) {
        GgufBuilder part;
        part.raw("split.no", 2, bytes_of<uint16_t>(static_cast<uint16_t>(i)));
        part.raw("split.count", 2, bytes_of<uint16_t>(3)).raw("split.tensors.count", 5, bytes_of(3));
        if (i == 0) part.text("general.name", "split");
        part.floats("tensor" + std::to_string(i), {4}, static_cast<float>(i));
        names.push_back("m-0000" + std::to_string(i + 1) + "-of-00003.gguf");
        folder.write(names.back(), part.build());
    }
    for (const auto& name : names) {
        const auto model = open_gguf(folder.path() / name);
        REQUIRE(model);
        CHECK(model->parts.size() == 3);
        CHECK(model->tensors.size() == 3);
        CHECK(model->find("general.name")->text() == "split");
        CHECK(model->find_tensor("tensor2")->part == 2);
    }

    SUBCASE("a missing part is named") {
        std::filesystem::remove(folder.path() / names[1]);
        const auto model = open_gguf(folder.path() / names[2]);
        REQUIRE_FALSE(model);
        CHECK(model.error().code == Errc::model_not_found);
        CHECK(model.error().message.find("part 2 of 3 is missing") != std::string::npos);
        CHECK(model.error().message.find(names[1]) != std::string::npos);
    }
    SUBCASE("the front is that of the first part, whoever is named") {
        std::filesystem::remove(folder.path() / names[1]);
        const auto model = open_gguf(folder.path() / names[2], Extent::front);
        REQUIRE(model);
        CHECK(model->parts.size() == 1);
        CHECK(model->find("general.name")->text() == "split");
    }
    SUBCASE("a renamed part is refused") {
        std::filesystem::rename(folder.path() / names[1], folder.path() / "x");
        std::filesystem::copy(folder.path() / names[2], folder.path() / names[1]);
        const auto model = open_gguf(folder.path() / names[0]);
        REQUIRE_FALSE(model);
        CHECK(model.error().message.find("says it is part 3 of 3") != std::string::npos);
    }
    SUBCASE("a part without its place in the name is refused") {
        std::filesystem::rename(folder.path() / names[0], folder.path() / "m.gguf");
        const auto model = open_gguf(folder.path() / "m.gguf");
        REQUIRE_FALSE(model);
        CHECK(model.error().message.find("one of 3 parts") != std::string::npos);
    }
    SUBCASE("a tensor in two parts is refused") {
        GgufBuilder part;
        part.raw("split.no", 2, bytes_of<uint16_t>(1)).raw("split.count", 2, bytes_of<uint16_t>(3));
        part.floats("tensor0", {4}, 1);
        folder.write(names[1], part.build());
        const auto model = open_gguf(folder.path() / names[0]);
        REQUIRE_FALSE(model);
        CHECK(model.error().message.find("'tensor0' lies in two parts") != std::string::npos);
    }
    SUBCASE("a wrong total is refused") {
        GgufBuilder part;
        part.raw("split.no", 2, bytes_of<uint16_t>(1)).raw("split.count", 2, bytes_of<uint16_t>(3));
        folder.write(names[1], part.build());
        const auto model = open_gguf(folder.path() / names[0]);
        REQUIRE_FALSE(model);
        CHECK(model.error().message.find("hold 2 tensors, 3 were expected") != std::string::npos);
    }
}

TEST_CASE("names of parts") {
    const auto split = parse_split_name("a-b-00002-of-00012.gguf");
    REQUIRE(split);
    CHECK(split->stem == "a-b");
    CHECK(split->number == 2);
    CHECK(split->count == 12);
    CHECK(split->part_name(3) == "a-b-00003-of-00012.gguf");
    const auto capitals = parse_split_name("A-00001-OF-00002.GGUF");
    CHECK_FALSE(capitals);  // only the extension may be written large
    const auto extension = parse_split_name("a-00001-of-00002.GGUF");
    REQUIRE(extension);
    CHECK(extension->part_name(2) == "a-00002-of-00002.GGUF");
    for (const char* name :
         {"model.gguf", "a-00000-of-00002.gguf", "a-00003-of-00002.gguf", "a-0001-of-0002.gguf",
          "a--0001-of-00002.gguf", "a-00001-of-00002.bin", "-00001-of-00001"})
        CHECK_FALSE(parse_split_name(name));
}

TEST_CASE("the token lists of the 12B parse in a moment") {
    std::vector<std::string> pieces, merges;
    for (int i = 0; i < 262144; i++) pieces.push_back("piece" + std::to_string(i));
    for (int i = 0; i < 514906; i++) merges.push_back("left" + std::to_string(i) + " right");
    GgufBuilder b;
    b.strings("tokens", pieces).strings("merges", merges);
    const ScratchFolder folder;
    const auto path = folder.write("a.gguf", b.build());
    const auto start = std::chrono::steady_clock::now();
    const auto file = open_gguf(path);
    REQUIRE(file);
    const auto list = file->find("merges")->strings();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    CHECK(list->size() == 514906);
    CHECK(list->back() == "left514905 right");
    MESSAGE("parsed in " << elapsed.count() * 1e3 << " ms");
    CHECK(elapsed.count() < 1.5);  // ten times the target, for slow builds; quadratic work would take minutes
}
