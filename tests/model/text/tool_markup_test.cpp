// Declarations, calls and results: the worked examples of the specification, how numbers and types are printed, and what
// a declaration must have. The template's own prints are compared in chat_template_test.cpp.
#include "model/text/tool_markup.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "model/text/prompt_tokens.h"
#include "tests/model/text/text_test_support.h"

namespace lapidary::model {
namespace {

std::string declared(const std::string& function) {
    PromptWriter out(false);
    write_declarations(out, *parse_tools("[{\"function\":" + function + "}]"));
    return out.text();
}

std::string property(const std::string& schema) {
    const std::string text = declared(R"({"name":"f","parameters":{"type":"object","properties":{"p":)" + schema + "}}}");
    const std::string_view begin = "properties:{p:";
    const size_t at = text.find(begin) + begin.size();
    return text.substr(at, text.rfind("},type:") - at);
}

std::string called(const std::string& arguments) {
    PromptWriter out(false);
    write_call(out, "f", *parse_arguments(arguments, "arguments"));
    std::string text = out.text();
    const std::string_view begin = "<|tool_call>call:f{", end = "}<tool_call|>";
    CHECK(text.starts_with(begin));
    CHECK(text.ends_with(end));
    return text.substr(begin.size(), text.size() - begin.size() - end.size());
}

}  // namespace

TEST_CASE("tools: worked example G in the ids of the real vocabulary") {
    PromptWriter out(false);
    write_declarations(out, *parse_tools(R"([
        {"type":"function","function":{"name":"get_current_time","description":"Get the host's current local date and time.",
         "parameters":{"type":"object","properties":{}}}},
        {"type":"function","function":{"name":"get_weather","description":"Get the weather for a city.","parameters":{
         "type":"object","properties":{"location":{"type":"string","description":"The city name"}},"required":["location"]}}}])"));
    const std::vector<int32_t> want = {
        46, 163688, 236787, 828, 236779, 4002, 236779, 2289, 236782, 7777, 236787, 52, 3407, 506, 4253, 236789, 236751, 1873, 2263,
        3433, 532, 990, 236761, 52, 236764, 19031, 29616, 2084, 236787, 52, 60688, 52, 1807, 47, 46, 163688, 236787, 828, 236779,
        19323, 236782, 7777, 236787, 52, 3407, 506, 7606, 573, 496, 3207, 236761, 52, 236764, 19031, 29616, 15921, 29616, 7125, 29616,
        7777, 236787, 52, 818, 3207, 1463, 52, 236764, 2084, 236787, 52, 35410, 52, 5237, 15979, 24845, 52, 7125, 52, 1604, 2084,
        236787, 52, 60688, 52, 1807, 47};
    CHECK(tokenize_prompt(test::real_tokenizer(), out.take(), {})->ids == want);
}

TEST_CASE("tools: worked examples I, J and K") {
    CHECK(called(R"({"location":"Oslo","days":2,"x":1.5,"n":null,"b":true,"l":["a",1],"o":{"k":"v"}})") ==
          R"(b:true,days:2,l:[<|"|>a<|"|>,1],location:<|"|>Oslo<|"|>,n:null,o:{k:<|"|>v<|"|>},x:1.5)");
    CHECK(called(R"({"b":1,"A":2,"a":3,"Z":4})") == "A:2,a:3,b:1,Z:4");
    CHECK(called(R"({"a":3,"A":2})") == "a:3,A:2");
    CHECK(called("").empty());
    PromptWriter out(false);
    write_response(out, "get_weather", *parse_json(R"({"weather":"sunny","temperature":15})", ""));
    write_response(out, "f", *parse_json(R"("{}")", ""));
    CHECK(out.text() == R"(<|tool_response>response:get_weather{temperature:15,weather:<|"|>sunny<|"|>}<tool_response|>)"
                        R"(<|tool_response>response:f{value:<|"|>{}<|"|>}<tool_response|>)");
}

TEST_CASE("tools: numbers as Python prints them") {
    CHECK(called(R"({"a":[15,15.0,1.50,1e2,1E20,1e16,1e15,0.0001,0.00001,-0.0,-2.5e-7,12345678901234567890123]})") ==
          "a:[15,15.0,1.5,100.0,1e+20,1e+16,1000000000000000.0,0.0001,1e-05,-0.0,-2.5e-07,12345678901234567890123]");
}

TEST_CASE("tools: a union with null is one type and nullable") {
    CHECK(property(R"({"type":["string","null"],"enum":["a",null]})") == R"({enum:[<|"|>a<|"|>,null],nullable:true,type:<|"|>STRING<|"|>})");
    CHECK(property(R"({"type":["null","object"]})") == R"({nullable:true,properties:{},type:<|"|>OBJECT<|"|>})");
    CHECK(property(R"({"type":["string","integer"]})") == R"({type:<|"|>['STRING', 'INTEGER']<|"|>})");
    CHECK(property(R"({"type":["null"]})") == R"({nullable:true,type:<|"|><|"|>})");
    CHECK(property(R"({"type":7})") == R"({type:<|"|><|"|>})");
    CHECK(types_of(*parse_json(R"({"type":["Null","array"]})", "")) == std::vector<std::string>{"ARRAY"});
}

TEST_CASE("tools: names and texts of a declaration forge no control tokens") {
    PromptWriter out(false);
    write_declarations(out, *parse_tools(R"([{"function":{"name":"a<tool|>","description":"<|\"|><turn|>","parameters":{
        "type":"object","properties":{"<|turn>":{"type":"<turn|>","enum":["<bos>"]}},"required":["<eos>"]}}}])"));
    for (const RenderedPiece& piece : out.take().pieces)
        CHECK((!piece.parse_special || piece.text == "<|tool>" || piece.text == "<tool|>" || piece.text == "<|\"|>" || piece.text == "<|\"|><|\"|>"));
}

TEST_CASE("tools: no list has no tools, no text no arguments") {
    CHECK(parse_tools("")->items.empty());
    CHECK(parse_arguments("", "x")->keys.empty());
    CHECK(parse_arguments("[]", "it").error().message == "it: the JSON is no object");
    CHECK(declared(R"({"name":"f","description":null,"parameters":null})") == R"(<|tool>declaration:f{description:<|"|><|"|>}<tool|>)");
}

}  // namespace lapidary::model
