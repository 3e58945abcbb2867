// Schemas against texts, keyword by keyword: what a grammar reads to its end and what it does not, and what is refused by name.
#include "model/text/schema/grammar_builder.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/describe.h"
#include "model/text/schema/matcher.h"
#include "model/text/tool_markup.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

bool reads(const Grammar& grammar, const std::string& text) {
    Matcher matcher(grammar);
    return matcher.feed(std::string_view(text)) && matcher.complete();
}

struct Case {
    const char* schema;
    std::vector<std::string> good, bad;
};

void check(const Case& c) {
    CAPTURE(std::string(c.schema));
    const auto grammar = grammar_of_schema(c.schema);
    REQUIRE_MESSAGE(grammar, grammar.error().message);
    for (const std::string& text : c.good) CHECK_MESSAGE(reads(*grammar, text), text);
    for (const std::string& text : c.bad) CHECK_MESSAGE(!reads(*grammar, text), text);
}

void refused(const std::string& schema, const std::string& place, const std::string& what) {
    CAPTURE(schema);
    const auto grammar = grammar_of_schema(schema);
    REQUIRE(!grammar);
    CHECK(grammar.error().code == Errc::bad_grammar);
    CHECK_MESSAGE(grammar.error().message.find("'" + place + "'") != std::string::npos, grammar.error().message);
    CHECK_MESSAGE(grammar.error().message.find(what) != std::string::npos, grammar.error().message);
    CHECK(!grammar.error().hint.empty());
}

}  // namespace

TEST_CASE("schema: types, alone and in lists") {
    check({R"({"type":"null"})", {"null"}, {"", "nul", "nulls", "true", " null", "null "}});
    check({R"({"type":"boolean"})", {"true", "false"}, {"True", "0", "truefalse"}});
    check({R"({"type":"integer"})", {"0", "-1", "12", "999999999999999"}, {"", "-", "-0", "01", "1.0", "1e3", "+1", "1000000000000000", "\"1\""}});
    check({R"({"type":"number"})", {"0", "-0", "1.5", "-12.25", "1e3", "1E-5", "0.1e+7"}, {".5", "1.", "1e", "01.5", "--1", "1e100", "NaN", "Infinity"}});
    check({R"({"type":"string"})", {R"("")", R"("a b")", R"("\"\\\/\b\f\n\r\t\u00e9")", "\"é😀\"", R"("\ud83d\ude00")"},
           {"\"", "\"a", "\"a\nb\"", R"("\x")", R"("\u12g4")", R"("\ud83d")", R"("\ud83dx")", R"("\ud83d\u0041")", R"("\ude00")", "\"\xC3\"", "\"\xC0\x80\"",
            "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE0\x80\x80\"", "\"\x80\"", "\"\xFF\""}});
    check({R"({"type":["string","null","integer"]})", {"null", "3", R"("x")"}, {"true", "[]", "3.5"}});
    check({R"({"type":["integer","number"]})", {"3", "3.5"}, {"true"}});
    check({"true", {"null", "[1,{\"a\":[]}]", "{}", "\"x\"", "-1.5e3"}, {"", "[", "{]"}});
    check({"{}", {"{\"a\":1}", "[]"}, {"{a:1}"}});
}

TEST_CASE("schema: white space is a space or a new line with its indent, and has an end") {
    const Case c = {R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"}}},"required":["a"]})",
                    {R"({"a":[1,2]})", R"({ "a": [ 1, 2 ] })", "{\n  \"a\": [\n    1,\n    2\n  ]\n}", R"({"a":[]})", "{\n\"a\":[]\n}"},
                    {R"({  "a":[]})", R"({"a" :[]})", R"({"a":[1 ,2]})", "{\n\n\"a\":[]}", "{\t\"a\":[]}", R"( {"a":[]})", R"({"a":[]} )",
                     "{\n" + std::string(25, ' ') + "\"a\":[]}"}};
    check(c);
    check({c.schema, {"{\n" + std::string(24, ' ') + "\"a\":[]}"}, {}});
}

TEST_CASE("schema: members in their order, required or left out, others where they are asked for") {
    check({R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":"integer"}},"required":["b"]})",
           {R"({"b":1})", R"({"a":1,"b":2})", R"({"b":1,"c":2})", R"({"a":1,"b":2,"c":3})"},
           {"{}", R"({"a":1})", R"({"b":1,"a":2})", R"({"b":1,})", R"({,"b":1})", R"({"b":1,"b":2})", R"({"b":1,"d":2})", R"({"a":1,"c":3})", R"({"b":"x"})"}});
    check({R"({"type":"object","properties":{"a":{}},"additionalProperties":false})", {"{}", R"({"a":[]})"}, {R"({"b":1})"}});
    check({R"({"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":{"type":"integer"}})",
           {"{}", R"({"a":null})", R"({"a":null,"b":1})", R"({"b":1,"c":2})", R"({"":1})", R"({"é":1})", R"({"aa":1,"ab":2})"},
           {R"({"b":null})", R"({"a":1})", R"({"b":1,"a":null})", R"({"b":1,"b":2})", R"({"c":1,"b":2,"c":3})", R"({"":1,"":2})", R"({"\u0062":1})"}});
    check({R"({"type":"object","required":["x y"]})", {R"({"x y":[{}]})"}, {"{}", R"({"z":1})"}});
    check({R"({"type":"object"})", {"{}", R"({"a":{"a":1}})"}, {R"({"a":1,"a":2})"}});
    check({R"({"type":"object","properties":{"a":false,"b":{"type":"null"}}})", {"{}", R"({"b":null})"}, {R"({"a":1})"}});
    check({R"({"properties":{"quote\"\\\n":{"type":"null"}},"required":["quote\"\\\n"]})", {R"({"quote\"\\\n":null})"}, {R"({"quote":null})"}});
    check({R"({"type":"object","properties":{}})", {"{}", "{ }"}, {R"({"a":1})"}});
    check({R"({"type":"object","properties":{},"additionalProperties":true})", {"{}", R"({"a":1})"}, {}});
}

TEST_CASE("schema: lists and their items") {
    check({R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})", {"[1]", "[1,2,3]", "[1, 2]"}, {"[]", "[1,2,3,4]", "[1,]", "[\"a\"]"}});
    check({R"({"type":"array","items":{"type":"null"},"minItems":2})", {"[null,null]", "[null,null,null,null]"}, {"[null]", "[]"}});
    check({R"({"type":"array","maxItems":0})", {"[]", "[ ]"}, {"[1]"}});
    check({R"({"type":"array","items":false})", {"[]"}, {"[1]"}});
    check({R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"null"}})",
           {"[]", "[1]", R"([1,"a"])", R"([1,"a",null,null])"}, {R"(["a"])", R"([1,2])", R"([1,"a",3])"}});
    check({R"({"type":"array","prefixItems":[{"type":"integer"}],"items":false,"minItems":1})", {"[5]"}, {"[]", "[5,5]"}});
    check({R"({"type":"array","items":[{"type":"integer"},{"type":"string"}],"additionalItems":false})", {"[]", R"([1,"a"])"}, {R"([1,"a",1])"}});
    check({R"({"items":{"items":{"type":"integer"}}})", {"[[1],[]]", "[]"}, {"[1]", "{}"}});  // types follow from the keywords
}

TEST_CASE("schema: bounds of numbers, digit by digit") {
    check({R"({"type":"integer","minimum":3,"maximum":120})", {"3", "9", "10", "99", "100", "120"}, {"2", "0", "121", "130", "200", "1000", "-3", "03"}});
    check({R"({"type":"integer","minimum":-15,"maximum":7})", {"-15", "-9", "-1", "0", "7"}, {"-16", "-20", "-100", "8", "-0"}});
    check({R"({"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":2})", {"1"}, {"0", "2", "-1"}});
    check({R"({"type":"integer","minimum":-20,"maximum":-3})", {"-3", "-20", "-11"}, {"3", "-2", "-21", "0"}});
    check({R"({"type":"integer","minimum":1.5,"maximum":3.5})", {"2", "3"}, {"1", "4"}});
    check({R"({"type":"number","minimum":0.25,"exclusiveMaximum":1.5})", {"0.25", "0.3", "1", "1.4999", "1.0"}, {"0.24", "0.2", "0", "1.5", "1.50", "2", "1e0", "-1"}});
    check({R"({"type":"number","exclusiveMinimum":-0.5,"maximum":0})", {"0", "-0.4", "-0.49", "0.0"}, {"-0.5", "-0.50", "-1", "0.1", "-0"}});
    check({R"({"type":"number","minimum":100})", {"100", "100.5", "999", "1000"}, {"99", "99.9", "10"}});
    check({R"({"type":"integer","maximum":9223372036854775807,"minimum":-1})", {"-1", "123456789012345"}, {"-2"}});
    check({R"({"type":"integer","multipleOf":7,"minimum":10,"maximum":30})", {"14", "21", "28"}, {"7", "15", "35"}});
    check({R"({"type":"number","multipleOf":5})", {"0", "-15", "100"}, {"1", "12.5"}});
    check({R"({"minimum":1e2,"maximum":1.5e2})", {"100", "150", "123.5"}, {"99", "151", "null"}});
}

TEST_CASE("schema: enums and constants of any kind") {
    check({R"({"enum":["red","green",1,null,true,[1,"a"],{"k":[]}]})", {R"("red")", R"("green")", "1", "null", "true", R"([1,"a"])", R"({"k":[]})"},
           {R"("blue")", R"("re")", "2", "false", "[]", R"({"k":[ ]})"}});
    check({R"({"type":"string","enum":["a","ab","abc",5]})", {R"("a")", R"("ab")", R"("abc")"}, {"5", R"("b")", R"("abcd")"}});
    check({R"({"const":"a\"\n\u0001é"})", {"\"a\\\"\\n\\u0001é\""}, {R"("a")"}});
    check({R"({"const":1.0,"type":"integer"})", {"1.0"}, {"1", "2"}});
    check({R"({"enum":[1,12,123],"minimum":2})", {"12", "123"}, {"1"}});
    check({R"({"enum":["x","xyz"],"minLength":2})", {R"("xyz")"}, {R"("x")"}});
    check({R"({"const":null})", {"null"}, {"0"}});
    check({R"({"enum":[{"a":1},{"b":2}],"required":["b"]})", {R"({"b":2})"}, {R"({"a":1})"}});
}

TEST_CASE("schema: strings by length, pattern and format") {
    check({R"({"type":"string","minLength":2,"maxLength":3})", {R"("ab")", "\"éé\"", R"("\n\n")", "\"😀😀😀\"", R"("\ud83d\ude00a")"}, {R"("a")", R"("abcd")", "\"😀\""}});
    check({R"({"type":"string","minLength":1})", {R"("a")", R"("abcdefghij")"}, {R"("")"}});
    check({R"({"type":"string","pattern":"^[a-z]+$"})", {R"("abc")"}, {R"("")", R"("aB")", R"("a1")", R"("abc ")"}});
    check({R"({"type":"string","pattern":"ab"})", {R"("ab")", R"("xxabyy")", "\"é ab\"", R"("a\nab")"}, {R"("a")", R"("ba")", R"("")"}});
    check({R"({"type":"string","pattern":"^\"\\\\$"})", {R"("\"\\")"}, {R"("")", R"("\"")"}});
    check({R"({"pattern":"^a.c$"})", {R"("abc")", "\"aéc\"", R"("a\tc")", R"("a\"c")"}, {R"("a\nc")", R"("ac")"}});
    check({R"({"pattern":"^\\d{3}-\\d{4}$"})", {R"("555-1234")"}, {R"("5551234")", R"("555-12345")"}});
    check({R"({"pattern":"^(foo|ba[rz])?$"})", {R"("")", R"("foo")", R"("bar")", R"("baz")"}, {R"("ba")", R"("foobar")"}});
    check({R"({"pattern":"^[^a-c]{2,}$"})", {R"("xyz")", "\"éé\""}, {R"("x")", R"("xa")"}});
    check({R"x({"pattern":"(^a|b$)"})x", {R"("a")", R"("axx")", R"("xxb")"}, {R"("xa")", R"("bx")"}});
    check({R"({"pattern":"^x","maxLength":3})", {R"("x")", R"("xab")"}, {R"("xabc")", R"("ax")"}});
    check({R"({"allOf":[{"pattern":"a"},{"pattern":"b"}],"type":"string"})", {R"("ab")", R"("b a")"}, {R"("a")", R"("b")"}});
    check({R"({"pattern":"^\\u0041\\x42\\/[\\w.-]+\\s\\S$"})", {R"("AB/a.b-c x")"}, {R"("AB/ x")"}});
    check({R"({"type":"string","format":"date"})", {R"("2024-02-29")", R"("1999-12-31")", R"("2000-02-29")"},
           {R"("2023-02-29")", R"("1900-02-29")", R"("2024-13-01")", R"("2024-04-31")", R"("0000-01-01")", R"("24-01-01")"}});
    check({R"({"format":"date-time"})", {R"("2024-01-01T00:00:00Z")", R"("2024-01-01T23:59:59.5+02:00")"}, {R"("2024-01-01")", R"("2024-01-01T24:00:00Z")"}});
    check({R"({"format":"time"})", {R"("12:30:00Z")"}, {R"("12:30")"}});
    check({R"({"format":"uuid"})", {R"("123e4567-e89b-12d3-a456-426614174000")"}, {R"("123e4567")"}});
    check({R"({"format":"email"})", {R"("a.b@c.org")"}, {R"("a@b")", R"("@c.org")"}});
    check({R"({"format":"ipv4"})", {R"("127.0.0.1")", R"("255.255.255.255")"}, {R"("256.1.1.1")", R"("01.1.1.1")", R"("1.1.1")"}});
    check({R"({"format":"uri"})", {R"("https://a.org/x?y=1#z")", R"("urn:isbn:0451450523")"}, {R"("a.org")", R"("http://")"}});
    check({R"({"format":"hostname"})", {R"("a-b.example.org")"}, {R"("-a.org")", R"("a..b")"}});
}

TEST_CASE("schema: anyOf, oneOf, allOf and references") {
    check({R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]})", {"5", R"("a")"}, {R"("ab")", "null"}});
    check({R"({"type":"object","properties":{"v":{"type":"integer"},"k":{"type":"string"}},"anyOf":[{"required":["v"]},{"required":["k"]}]})",
           {R"({"v":1})", R"({"k":"x"})", R"({"v":1,"k":"x"})"}, {"{}"}});
    check({R"({"anyOf":[{"properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},
                        {"properties":{"kind":{"const":"b"},"x":{"type":"string"}},"required":["kind","x"]}]})",
           {R"({"kind":"a","x":1})", R"({"kind":"b","x":"1"})"}, {R"({"kind":"a","x":"1"})", R"({"kind":"b","x":1})"}});
    check({R"({"oneOf":[{"type":"object","properties":{"kind":{"const":"a"}},"required":["kind"]},
                        {"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]},{"type":"null"}]})",
           {R"({"kind":"a"})", R"({"kind":"b"})", "null"}, {R"({"kind":"c"})"}});
    check({R"({"oneOf":[{"type":"integer","maximum":3},{"type":"integer","exclusiveMinimum":3}]})", {"3", "4"}, {"null"}});
    for (const char* order : {R"(["left","op"])", R"(["op","left"])"}) {  // one that refers to itself
        const std::string tree = concat(R"({"$ref":"#/$defs/e","$defs":{"e":{"oneOf":[
            {"type":"object","properties":{"left":{"$ref":"#/$defs/e"},"op":{"const":"add"}},"required":)", order, R"(,"additionalProperties":false},
            {"type":"object","properties":{"op":{"const":"num"}},"required":["op"],"additionalProperties":false}]}}})");
        check({tree.c_str(), {R"({"op":"num"})", R"({"left":{"op":"num"},"op":"add"})"}, {R"({"op":"add"})"}});
    }
    // Lengths and patterns of two strings that read the same one behind the other.
    check({R"({"type":"object","properties":{"a":{"type":"string","allOf":[{"pattern":"1"},{"pattern":"abcdefghi"}]},
               "b":{"type":"string","pattern":"\n9abcdefghi"}},"required":["a","b"],"additionalProperties":false})",
           {R"({"a":"1abcdefghi","b":"\n9abcdefghi"})"}, {R"({"a":"1abcdefghi","b":"1abcdefghi"})"}});
    check({R"({"allOf":[{"type":"object","properties":{"a":{"type":"number"}},"required":["a"]},{"properties":{"a":{"minimum":2},"b":{"type":"null"}}}]})",
           {R"({"a":2})", R"({"a":2.5,"b":null})"}, {R"({"a":1})", "{}", R"({"b":null})"}});
    check({R"({"allOf":[{"properties":{"a":{}}},{"properties":{"b":{}},"additionalProperties":false}],"type":"object"})", {"{}", R"({"b":1})"}, {R"({"a":1})"}});
    check({R"({"$defs":{"p/q":{"type":"integer"}},"type":"array","items":{"$ref":"#/$defs/p~1q","maximum":5}})", {"[1,5]"}, {"[6]", R"(["a"])"}});
    check({R"({"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["v","next"]})",
           {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":2,"next":{"v":3,"next":null}}})"}, {R"({"v":1})", R"({"v":1,"next":{"v":2}})"}});
    check({R"({"definitions":{"t":{"type":"array","items":{"$ref":"#/definitions/t"}}},"$ref":"#/definitions/t"})", {"[]", "[[],[[]]]"}, {"[1]"}});
    check({R"({"title":"t","description":"d","default":1,"examples":[1],"$comment":"c","$schema":"s","$id":"i","x-own":{},"type":"null"})", {"null"}, {"1"}});
}

TEST_CASE("schema: values stand at most a hundred deep, and there is always a way out") {
    const auto grammar = grammar_of_schema(R"({"type":"array","items":{"type":"array"}})");
    REQUIRE(grammar);
    Matcher matcher(*grammar);
    int depth = 0;
    while (matcher.feed(uint16_t{'['})) ++depth;
    CHECK(depth == kDeepestValues);
    CHECK(!matcher.feed(uint16_t{'1'}));  // one deeper
    for (; depth > 0; --depth) REQUIRE(matcher.feed(uint16_t{']'}));
    CHECK(matcher.complete());
    // Ways that cannot be told apart share their beginnings.
    const auto twins = grammar_of_schema(R"({"$defs":{"t":{"anyOf":[{"properties":{"v":{"$ref":"#/$defs/t"}}},
        {"properties":{"v":{"$ref":"#/$defs/t"},"w":{"type":"null"}}},{"type":"null"}]}},"$ref":"#/$defs/t"})");
    REQUIRE(twins);
    Matcher both(*twins);
    for (int i = 0; i < 90; ++i) REQUIRE(both.feed(std::string_view("{\"v\":")));
    CHECK(both.now().size() < 20);
    REQUIRE(both.feed(std::string_view("null")));
    for (int i = 0; i < 90; ++i) REQUIRE(both.feed(std::string_view(i % 2 ? "}" : ",\"w\":null}")));
    CHECK(both.complete());
}

TEST_CASE("schema: what is not served is refused by name, with its place") {
    for (const char* keyword : {"not", "if", "patternProperties", "propertyNames", "contains", "uniqueItems", "minProperties", "dependentRequired",
                                "unevaluatedProperties", "$dynamicRef", "requried"})
        refused(std::string(R"({"type":"object","properties":{"a/b":{")") + keyword + R"(":{"x":1}}}})", std::string("#/properties/a~1b/") + keyword, "not served");
    refused(R"({"type":"string","format":"ipv6"})", "#/format", "\"ipv6\"");
    refused(R"({"type":"number","multipleOf":0.01})", "#/multipleOf", "1 to 1000");
    refused(R"({"items":{"pattern":"(?=a)b"}})", "#/items/pattern", "look around");
    for (const char* pattern : {"\\\\bx", "(a)\\\\1", "a**", "[b-a]", "(", "a)", "[a", "\\\\p{L}", "(?i)a", "x{3,1}", "^*", "a{20000}", "\\\\uD800"})
        refused(std::string(R"({"pattern":")") + pattern + "\"}", "#/pattern", "pattern");
    refused(R"({"pattern":"a.{30}b"})", "#/pattern", "states");  // which of the last thirty characters were an a
    refused(R"({"oneOf":[{"type":"integer"},{"type":"number","minimum":3}]})", "#/oneOf", "both 0 and 1");
    refused(R"({"oneOf":[{"required":["a"]},{"required":["b"]}],"type":"object"})", "#/oneOf", "both 0 and 1");
    refused(R"({"$ref":"other.json"})", "#/$ref", "\"other.json\"");
    refused(R"({"$ref":"#/$defs/none"})", "#/$ref", "there is no");
    refused(R"({"anyOf":[{"$ref":"#"},{"type":"null"}]})", "#", "refers to itself");
    refused(R"({"type":"float"})", "#/type", "\"float\" is no type");
    refused(R"({"type":"array","maxItems":100000})", "#/maxItems", "2000");
    refused(R"({"minLength":-1})", "#/minLength", "-1");
    refused(R"({"minimum":"3"})", "#/minimum", "no number");
    refused(R"({"type":"integer","minimum":12345678901234567})", "#/minimum", "15 digits");
    refused(R"({"properties":[]})", "#/properties", "no object");
    refused(R"({"anyOf":[]})", "#/anyOf", "no list");
    refused(R"({"items":{"anyOf":[3]}})", "#/items/anyOf/0", "no schema");
    CHECK(grammar_of_schema("{").error().code == Errc::bad_grammar);
    CHECK(grammar_of_schema(R"({"a":1,"a":2})").error().message.find("twice") != std::string::npos);
}

TEST_CASE("schema: what would grow without end is refused soon") {
    std::string many = R"({"anyOf":[)", wide = R"({"properties":{)", product = R"({"allOf":[)";
    for (int i = 0; i < 300; ++i) many += (i ? "," : "") + std::string(R"({"type":"string","maxLength":)") + std::to_string(i) + "}";
    for (int i = 0; i < 300; ++i) wide += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":{}";
    for (int i = 0; i < 30; ++i) product += std::string(i ? "," : "") + R"({"anyOf":[{"minItems":1},{"maxItems":2}]})";
    refused(many + "]}", "#/anyOf", "300 schemas");
    refused(wide + "}}", "#/properties", "300 are declared");
    refused(product + "]}", "#", "256 alternatives");
    refused(R"x({"pattern":"(((){9999}){9999}){9999}"})x", "#/pattern", "states");
    refused(R"({"pattern":"^.{9000}$"})", "#/pattern", "states");
    refused(R"({"pattern":"^a*$","maxLength":40000})", "#", "states");
    refused(R"({"items":{"items":{"items":{"maxItems":1999,"items":{"maxItems":1999}},"maxItems":1999},"maxItems":1999},"minItems":3000})", "#/minItems", "2000");
}

// Each would take minutes if its cost grew with the square of what it lists.
TEST_CASE("schema: long lists are read once, or refused at once") {
    const auto listed = [](int count, const auto& item) {
        std::string out;
        for (int i = 0; i < count; ++i) out += (i ? "," : "") + item(std::to_string(i));
        return out;
    };
    const auto number = [](const std::string& i) { return i; };
    const auto text = [](const std::string& i) { return "\"item " + i + "\""; };
    const auto list = [](const std::string& i) { return "[" + i + "]"; };
    const std::string numbers = listed(50'000, number), texts = listed(50'000, text);
    check({("{\"enum\":[" + numbers + "]}").c_str(), {"0", "49999", "777"}, {"50000", "01", "", "-1"}});
    check({("{\"enum\":[" + texts + "]}").c_str(), {"\"item 0\"", "\"item 49999\""}, {"\"item 50000\"", "\"item\"", "\"item 01\""}});
    check({("{\"allOf\":[{\"enum\":[" + numbers + "]},{\"enum\":[" + listed(50'000, [](const std::string& i) { return i + "e1"; }) + "]}]}").c_str(),
           {"0", "10", "49990"}, {"11", "50000"}});
    check({("{\"oneOf\":[{\"enum\":[" + numbers + "]},{\"enum\":[" + texts + "]}]}").c_str(), {"5", "\"item 5\""}, {"\"5\""}});
    check({("{\"enum\":[" + listed(50'000, list) + "],\"items\":{\"enum\":[" + numbers + "]}}").c_str(), {"[5]"}, {"5", "[50000]"}});
    check({("{\"const\":{" + listed(50'000, [](const std::string& i) { return "\"" + i + "\":1"; }) + "}}").c_str(), {}, {"{}"}});
    refused("{\"enum\":[" + listed(300'000, text) + "]}", "#/enum", "300000 values, at most 100000");
    refused("{\"properties\":{" + listed(300'000, [](const std::string& i) { return "\"k" + i + "\":{}"; }) + "}}", "#/properties", "300000 are declared, at most 256");
    refused("{\"required\":[" + listed(300'000, text) + "]}", "#/required", "300000 names, at most 256");
    for (const std::string word : {"allOf", "anyOf", "oneOf"})
        refused("{\"" + word + "\":[" + listed(300'000, [](const std::string&) { return std::string("{}"); }) + "]}", "#/" + word, "300000 schemas, at most 256");
    // One schema refers to the next, thousands of times; twice to the next, so that all ways are countless.
    const auto chain = [&](int count, const std::string& begin, const std::string& end) {
        return "{\"$ref\":\"#/$defs/0\",\"$defs\":{" + listed(count, [&](const std::string& i) {
                   const std::string next = "{\"$ref\":\"#/$defs/" + std::to_string(std::stoi(i) + 1) + "\"}";
                   return "\"" + i + "\":{\"type\":\"object\"," + begin + next + end + "}";
               }) + ",\"" + std::to_string(count) + "\":{\"type\":\"object\",\"properties\":{}}}}";
    };
    check({chain(15'000, "\"properties\":{\"a\":", "}").c_str(), {"{}", R"({"a":{"a":{}}})"}, {R"({"b":1})"}});
    refused(chain(15'000, "\"required\":[\"a\"],\"properties\":{\"a\":", "}"), "#", "no value meets");
    std::string doubled = "{\"$ref\":\"#/$defs/0\",\"$defs\":{";
    for (int i = 0; i < 40; ++i) {
        const std::string next = "{\"$ref\":\"#/$defs/" + std::to_string(i + 1) + "\"}";
        doubled += "\"" + std::to_string(i) + "\":{\"allOf\":[" + next + "," + next + "]},";
    }
    check({(doubled + "\"40\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}}}}}").c_str(), {R"({"a":null})"}, {R"({"a":1})"}});
}

TEST_CASE("schema: one that nothing meets is refused") {
    for (const char* schema : {"false", R"({"type":"integer","minimum":3,"maximum":2})", R"({"allOf":[{"type":"string"},{"type":"null"}]})",
                               R"({"type":"string","pattern":"^a$","minLength":2})", R"({"type":"object","properties":{"a":false},"required":["a"]})",
                               R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", R"({"enum":[]})", R"({"const":1,"type":"string"})",
                               R"({"type":"array","items":false,"minItems":1})", R"({"minLength":3,"maxLength":2,"type":"string"})",
                               R"({"type":"integer","multipleOf":10,"minimum":1,"maximum":9})", R"({"type":"array","minItems":3,"maxItems":2})",
                               R"({"type":"object","properties":{"a":{}},"required":["b"],"additionalProperties":false})", R"({"pattern":"^\\u0001$"})"})
        refused(schema, "#", "no value meets");
}

TEST_CASE("schema: calls of tools in their own notation") {
    const auto tools = parse_tools(R"([{"function":{"name":"get.weather","parameters":{"type":"OBJECT","properties":{
        "place":{"type":"string","description":"where","nullable":true},"Days":{"type":"integer","minimum":1,"maximum":9},"unit":{"enum":["C","F"]},
        "odd key":{"type":"array","items":{"type":"object","properties":{"k":{"type":"boolean"}}}}},"required":["place"]}}},
        {"function":{"name":"stop"}},{"function":{"name":"free","parameters":{"type":"object"}}}])");
    REQUIRE(tools);
    const auto held = grammar_of_calls(*tools, true);
    REQUIRE_MESSAGE(held, held.error().message);
    const auto good = [](const Grammar& grammar, std::string_view text) {  // | is the token of quotes
        Matcher matcher(grammar);
        for (const char c : text)
            if (!matcher.feed(c == '|' ? kQuoteSymbol : static_cast<uint16_t>(static_cast<uint8_t>(c)))) return false;
        return matcher.complete();
    };
    for (const char* call : {"call:get.weather{place:|Oslo|}", "call:get.weather{Days:3,place:|a \"b\"\n}{,:|,unit:|C|}", "call:stop{}",
                             "call:get.weather{|odd key|:[{k:true},{}],place:||}", "call:free{}", "call:free{a_1:|x|,b:[1,null,{c:1.5}]}"})
        CHECK_MESSAGE(good(*held, call), call);
    for (const char* call : {"call:other{}", "call:get.weather{}", "call:get.weather{Days:0,place:|x|}", "call:get.weather{place:Oslo}", "call:stop{a:1}",
                             "call:get.weather{place:|x|,Days:3}", "call:get.weather{place:|x|,unit:|K|}", "call:get.weather{place:|x|", "stop{}",
                             "call:free{a:1,a:2}", "call:free{a b:1}", "call:free{:1}", "call:stop{} "})
        CHECK_MESSAGE(!good(*held, call), call);
    const auto readable = grammar_of_calls(*tools, false);
    REQUIRE(readable);
    CHECK(good(*readable, "call:stop{a:1,b:|x|}"));
    CHECK(!good(*readable, "call:other{}"));
    const auto twins = parse_tools(R"([{"function":{"name":"f"}},{"function":{"name":"g"}},{"function":{"name":"f"}}])");
    const auto refusal = grammar_of_calls(*twins, true);
    REQUIRE(!refusal);
    CHECK(refusal.error().code == Errc::bad_grammar);
    CHECK(refusal.error().message.find("two tools have the name \"f\"") != std::string::npos);
    CHECK(grammar_of_calls(*twins, false));
    const auto bad = grammar_of_calls(*parse_tools(R"([{"function":{"name":"f","parameters":{"properties":{"a":{"uniqueItems":true}}}}}])"), true);
    CHECK(bad.error().message.find("the tool \"f\": '#/properties/a/uniqueItems'") != std::string::npos);
}
