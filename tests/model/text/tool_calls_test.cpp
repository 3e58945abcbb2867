// Calls as models write them: what is read, what is mended, what is given back; and strings of every kind there and back.
#include "model/text/tool_calls.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lapidary/tools.h"
#include "model/text/prompt_tokens.h"
#include "model/text/reply_parser.h"
#include "model/text/tool_markup.h"
#include "tests/model/text/text_test_support.h"

namespace lapidary::model {
namespace {

// `text` spells the quotes as ~.
std::string marked(std::string text) {
    for (char& c : text)
        if (c == '~') c = kQuoteMark;
    return text;
}

JsonValue tools() {
    return *parse_tools(R"([{"function":{"name":"say","parameters":{"properties":{
        "text":{"type":"string"},"to":{"type":["null","STRING"]},"n":{"type":"integer"}}}}}])");
}

void check(const std::string& text, const std::string& name, const std::string& arguments) {
    const auto call = parse_call(marked(text), tools());
    REQUIRE_MESSAGE(call.has_value(), text);
    CHECK_MESSAGE(call->name == name, text);
    CHECK_MESSAGE(call->arguments == arguments, text);
}

void check_unreadable(const std::string& text) { CHECK_MESSAGE(!parse_call(marked(text), tools()), text.substr(0, 100)); }

}  // namespace

TEST_CASE("calls: what the notation says") {
    check("call:get_time{city:~San Francisco~}", "get_time", R"({"city":"San Francisco"})");
    check("call:empty_args{}", "empty_args", "{}");
    check(" call:f{ } ", "f", "{}");
    check("call:f{a:-1,b:2.50,c:1.5e10,d:1E+5,e:0}", "f", R"({"a":-1,"b":2.50,"c":1.5e10,"d":1E+5,"e":0})");
    check("call:f{a:true,b:false,c:null}", "f", R"({"a":true,"b":false,"c":null})");
    check("call:f{todos:[~a~,~b~]}", "f", R"({"todos":["a","b"]})");
    check("call:f{todos:[]}", "f", R"({"todos":[]})");
    check("call:f{config:{theme:~dark~,count:3},e:{}}", "f", R"({"config":{"theme":"dark","count":3},"e":{}})");
    check("call:ns:tool.name-2{a.b:1,c-d:[[1,{e:[~x~]}]]}", "ns:tool.name-2", R"({"a.b":1,"c-d":[[1,{"e":["x"]}]]})");
    check("call:f{a : 1 , b:\n[ ~x~ , 2 ]\n}", "f", R"({"a":1,"b":["x",2]})");
    check("call:f{~a b~:1,\"c\":\"d\\n\"}", "f", R"({"a b":1,"c":"d\n"})");
    check("call:f{a:~}{,:]['\"\\\n<|~,b:1}", "f", R"({"a":"}{,:]['\"\\\n<|","b":1})");
    check("call:f{:1}", "f", R"({"":1})");
}

TEST_CASE("calls: quotes and ends that the model spells") {
    check("call:f{a:<|\"|>x}<|\"|>}", "f", R"({"a":"x}"})");
    check("call:f{a:~<|\"|>~}", "f", R"({"a":"<|\"|>"})");
    check("call:f{}<tool_call|>\n<tool_call|>", "f", "{}");
    check("call:f{a:~<tool_call|>~}", "f", R"({"a":"<tool_call|>"})");
    CHECK(call_text(marked("call:f{a:~x~}")) == "call:f{a:<|\"|>x<|\"|>}");
}

TEST_CASE("calls: slips that are mended") {
    check("call:f{a:'x y',b:['it\\'s']}", "f", R"({"a":"x y","b":["it\\'s"]})");
    check("call:f{a:'x'~,b:1}", "f", R"({"a":"x","b":1})");
    check("call:f{b:1,a:~x y}", "f", R"({"b":1,"a":"x y"})");
    check("call:f{a:~x~", "f", R"({"a":"x"})");
    check("call:f{a:{b:1}", "f", R"({"a":{"b":1}})");
    check("call:f{a:'x'", "f", R"({"a":"x"})");
    check("call:say{text:hello, world}", "say", R"({"text":"hello, world"})");
    check("call:say{n:3,text:a: b, c: d,to:you}", "say", R"({"n":3,"text":"a: b, c: d","to":"you"})");
    check("call:say{text:12}", "say", R"({"text":12})");
    check("call:say{text:no end", "say", R"({"text":"no end"})");
}

TEST_CASE("calls: what cannot be read") {
    for (const char* text : {"", "call:", "call:f", "call:{}", "f{}", "call:f{a}", "call:f{a:}", "call:f{a:b}", "call:f{a:1,}",
                             "call:f{a:1 b:2}", "call:f{a:[1,]}", "call:f{a:01}", "call:f{a:1e999}", "call:f{a:+1}",
                             "call:f{a:1}}", "call:f{a:1}x", "call:f{a:1,a:2}", "call:f{a:None}", "call:f~x~{}", "call:f{a:~x~y}",
                             "call:f{a:~x~~y~}", "call:say{n:three}", "call:say{other:hello}", "call:f{a:'x}", "call:f[1]",
                             "call:f{a:[~x~,~y]}"})
        check_unreadable(text);
    check_unreadable(std::string("call:f{a:3\0}", 12));
    check_unreadable("call:f" + std::string(100000, '{'));
    std::string deep = "1";
    for (int i = 0; i < 101; ++i) deep = "[" + deep + "]";
    check_unreadable("call:f{a:" + deep + "}");
    for (const char* many : {",", ":", ",a:", "'", "\\"})  // in time that grows with the text alone
        for (const char* end : {"", "~", "}"}) {
            std::string text = "call:say{text:";
            for (int i = 0; i < 100000; ++i) text += many;
            const auto call = parse_call(marked(text + end), tools());
            CHECK((!call || call->name == "say"));
        }
}

TEST_CASE("calls: arguments come back as they went in, through the ids of both vocabularies") {
    const auto file = nlohmann::ordered_json::parse(test::read_file(test::golden_path("chat_tools.json")));
    std::vector<std::string> all = {
        R"({"a":"<|\"|>","b":"<tool_call|><turn|>","c":"<|tool_call>call:g{}<tool_call|>"})", R"({"a":"\u0000\u0001\u001b"})",
        R"({"":{"":""}})", R"({"a":"'","b":"\"","c":"''","d":"\\\"","e":"<|","f":"|>","g":"<|\"|"})",
        R"({"a":null,"b":[null,[null]],"c":{"d":null}})", R"({"a":"  ","b":"\n","c":"\t\r\n \u00a0"})"};
    for (const auto& golden : file["cases"])
        if (golden["name"].get<std::string>().starts_with("arguments_"))
            all.push_back(golden["messages"][1]["tool_calls"][0]["function"]["arguments"]);
    CHECK(all.size() == 15);
    for (const std::string& arguments : all)
        for (const Tokenizer* tokenizer : {&test::tiny_tokenizer(), &test::real_tokenizer()}) {
            CAPTURE(arguments);
            PromptWriter out(false);
            write_call(out, "ns:do.it", *parse_arguments(arguments, "arguments"));
            const auto tokens = tokenize_prompt(*tokenizer, out.take(), {});
            REQUIRE(tokens.has_value());
            auto parser = ReplyParser::create(*tokenizer);
            std::optional<ToolCall> call;
            for (const int32_t id : tokens->ids) {
                const ReplyDelta delta = parser->feed(id);
                CHECK(delta.text.empty());
                CHECK(delta.broken_call.empty());
                if (delta.call) call = delta.call;
            }
            REQUIRE(call.has_value());
            CHECK(call->name == "ns:do.it");
            CHECK(nlohmann::json::parse(call->arguments) == nlohmann::json::parse(arguments));
        }
}

}  // namespace lapidary::model
