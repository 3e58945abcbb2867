// JSON read and written again: order and spelling stay, mistakes are named.
#include "model/text/json_value.h"

#include <doctest/doctest.h>

namespace lapidary::model {

TEST_CASE("json: a text comes back as it was, without its spaces") {
    for (const char* text : {R"({"b":1.50,"a":[1e20,-0.0,12345678901234567890123,{"":null}],"A":"\n\"é"})", "[]", "{}", "true", "\"\"", "-7"})
        CHECK(parse_json(text, "x")->to_json() == text);
    CHECK(parse_json(" { \"a\" : [ 1 , 2 ] } ", "x")->to_json() == R"({"a":[1,2]})");
    CHECK(parse_json(R"("\ud83d\ude00\u0000")", "x")->text == std::string("😀\0", 5));
    CHECK(json_string("a\"\\\n\x01") == R"("a\"\\\n\u0001")");
}

TEST_CASE("json: members") {
    const JsonValue value = *parse_json(R"({"s":"t","n":null,"o":{}})", "x");
    CHECK(value.string_at("s") == "t");
    CHECK(value.string_at("o").empty());
    CHECK(value.find("o") != nullptr);
    CHECK(value.find("n") == nullptr);
    CHECK(value.find("absent") == nullptr);
    CHECK(JsonValue().find("s") == nullptr);
}

TEST_CASE("json: mistakes carry the subject") {
    const auto says = [](std::string_view text) { return parse_json(text, "it").error().message; };
    CHECK(says("{\"a\":") == "it: not valid JSON at byte 6");
    CHECK(says("\"\xFF\"") == "it: not valid JSON at byte 2");
    CHECK(says(std::string_view("[1]\0", 4)) == "it: not valid JSON at byte 4");
    CHECK(says("[1,2e999]") == "it: a number in the JSON is too large");
    CHECK(says(R"([{"k":1,"j":2,"k":3}])") == R"(it: the key "k" stands twice in one object)");
    CHECK(says(std::string(101, '[') + std::string(101, ']')) == "it: the JSON is nested deeper than 100 levels");
    CHECK(parse_json(std::string(100, '[') + std::string(100, ']'), "it").has_value());
}

}  // namespace lapidary::model
