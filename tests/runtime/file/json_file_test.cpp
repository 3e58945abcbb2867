// JSON from anywhere: limits on size and depth, repeated keys.
#include "runtime/file/json_file.h"

#include <doctest/doctest.h>

#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::runtime;

TEST_CASE("an object is parsed") {
    const auto parsed = parse_json_object(R"({"a": {"b": [1, 2.5, "x", null]}, "c": {"b": 1}})", "test");
    REQUIRE(parsed);
    CHECK((*parsed)["a"]["b"][2] == "x");
}

TEST_CASE("repeated keys are refused on any level") {
    CHECK_FALSE(parse_json_object(R"({"a": 1, "a": 2})", "test"));
    CHECK_FALSE(parse_json_object(R"({"x": {"a": 1, "b": {"a": 1}, "a": 2}})", "test"));
    CHECK(parse_json_object(R"({"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 1}]})", "test"));
}

TEST_CASE("depth is limited, however long the text") {
    const auto nested = [](int depth) {
        return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
    };
    CHECK(parse_json_object(nested(kMaxJsonDepth - 1), "test"));
    for (const int depth : {kMaxJsonDepth + 1, 1000, 1000000}) {
        const auto parsed = parse_json_object(nested(depth), "test");
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().message.find("nested deeper") != std::string::npos);
    }
}

TEST_CASE("other texts are refused") {
    for (const char* text : {"", "null", "3", "\"x\"", "[]", "{", "{\"a\":}", "{} {}", "{'a': 1}"}) {
        CAPTURE(text);
        const auto parsed = parse_json_object(text, "test");
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == Errc::bad_model_file);
    }
}

TEST_CASE("files are limited in size and must be files") {
    const test::ScratchFolder folder;
    const auto path = folder.write("a.json", "{\"a\": 1}");
    CHECK(read_text_file(path, 8).has_value());
    CHECK(read_text_file(path, 7).error().message.find("has 8 bytes, more than the 7") != std::string::npos);
    CHECK(read_text_file(folder.path() / "none", 8).error().code == Errc::model_not_found);
    CHECK(read_text_file(folder.path(), 8).error().code == Errc::bad_model_file);
    CHECK((*read_json_file(path))["a"] == 1);
}
