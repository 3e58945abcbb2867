// The JSON form of conversations: what is read, and what is refused with the index of the message.
#include <doctest/doctest.h>

#include <string>

#include "lapidary/tools.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

void check_refused(const std::string& json, const std::string& part_of_message) {
    const auto result = conversation_from_json(json);
    REQUIRE_MESSAGE(!result.has_value(), json);
    CHECK(result.error().code == Errc::invalid_argument);
    CHECK_MESSAGE(result.error().message.find(part_of_message) != std::string::npos, result.error().message);
    CHECK_FALSE(result.error().hint.empty());
}

}  // namespace

TEST_CASE("messages: strings, parts, media and reasoning") {
    const auto result = conversation_from_json(R"({"messages":[
        {"role":"developer","content":"Be brief."},
        {"role":"user","content":[{"type":"video","path":"v.mp4"},{"type":"image","path":"a.png"},
                                  {"type":"text","text":"What?"},{"type":"audio","path":"b.wav"}],"name":"x"},
        {"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[]},
        {"role":"model","content":"Yes","reasoning":null},
        {"role":"system","content":""}],"tools":[]})");
    REQUIRE(result.has_value());
    const auto& messages = result->messages;
    REQUIRE(messages.size() == 5);
    CHECK(messages[0].role == Role::developer);
    CHECK(messages[0].plain_string);
    CHECK(messages[0].parts[0].text_value == "Be brief.");
    CHECK_FALSE(messages[1].plain_string);
    REQUIRE(messages[1].parts.size() == 4);
    CHECK(messages[1].parts[0].kind == Part::Kind::video);
    CHECK(messages[1].parts[0].path == "v.mp4");
    CHECK(messages[1].parts[1].path == "a.png");
    CHECK(messages[1].parts[2].text_value == "What?");
    CHECK(messages[1].parts[3].kind == Part::Kind::audio);
    CHECK(messages[1].parts[3].path == "b.wav");
    CHECK(messages[2].parts.empty());
    CHECK(messages[2].reasoning == "hm");
    CHECK(messages[3].role == Role::assistant);
    CHECK(messages[4].role == Role::system);
}

TEST_CASE("messages: a bare list") {
    const auto result = conversation_from_json(R"([{"role":"user","content":"Hi"}])");
    REQUIRE(result.has_value());
    CHECK(result->messages.size() == 1);
}

TEST_CASE("messages: mistakes are named") {
    const std::string ok = R"({"role":"user","content":"Hi"})";
    check_refused("", "not valid JSON");
    check_refused("{\"messages\":[", "not valid JSON at byte");
    check_refused("[1e999]", "too large");
    check_refused(std::string(200000, '['), "nested deeper than 100 levels");
    check_refused("{\"messages\":[{\"role\":\"user\",\"content\":\"\xFF\"}]}", "not valid JSON");
    check_refused("{}", "no list of messages");
    check_refused("[]", "no list of messages");
    check_refused(R"({"messages":{}})", "no list of messages");
    check_refused("3", "no list of messages");
    check_refused("[" + ok + ",7]", "message 1 is not an object");
    check_refused("[" + ok + R"(,{"role":"\u001b[31mtool\n"}])", R"(message 1 has the role "\x1b[31mtool\n")");
    check_refused("[" + ok + R"(,{"content":"x"}])", "message 1 has the role \"\"");
    check_refused("[" + ok + R"(,{"role":"boss","content":"x"}])", "message 1 has the role \"boss\"");
    check_refused(R"([{"role":"user"}])", "message 0 has no \"content\"");
    check_refused(R"([{"role":"user","content":5}])", "neither a string nor a list");
    check_refused(R"([{"role":"user","content":["x"]}])", "message 0, part 0 is not an object");
    check_refused(R"([{"role":"user","content":[{"type":"text"}]}])", "no string \"text\"");
    check_refused(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]}])",
                  "message 0, part 1 has the type \"image_url\"");
    check_refused(R"([{"role":"user","content":[{"type":"image"}]}])", "no \"path\"");
    check_refused(R"([{"role":"assistant","reasoning":3}])", "\"reasoning\" is not a string");
}

TEST_CASE("messages: tools, calls and results") {
    const auto result = conversation_from_json(R"({"messages":[{"role":"user","content":"x"},
        {"role":"assistant","content":null,"tool_calls":[
            {"id":"a","type":"function","function":{"name":"f","arguments":"{\"z\":1.50,\"B\":null}"}},
            {"id":"b","type":"function","function":{"name":"g","arguments":{"z":1.50,"B":[]}}},
            {"id":"c","function":{"name":"h","arguments":""}},{"function":{"name":"i"}}]},
        {"role":"tool","tool_call_id":"b","content":"text"},
        {"role":"tool","tool_call_id":"a","name":"f","content":{"t":15.0,"S":1}},
        {"role":"tool","content":[{"type":"text","text":"one"},{"type":"image","path":"p.png"}]},
        {"role":"tool","content":null},{"role":"tool","content":false},
        {"role":"assistant","tool_responses":[{"name":"f","response":[1]},{}]}],
        "tools":[{"type":"function","function":{"name":"f","parameters":{"b":1,"a":2}}}],"preserve_thinking":true})");
    REQUIRE(result.has_value());
    const auto& messages = result->messages;
    const auto& calls = messages[1].tool_calls;
    REQUIRE(calls.size() == 4);
    CHECK(calls[0].id == "a");
    CHECK(calls[0].name == "f");
    CHECK(calls[0].arguments == R"({"z":1.50,"B":null})");
    CHECK(calls[1].arguments == R"({"z":1.50,"B":[]})");
    CHECK(calls[2].arguments.empty());
    CHECK(calls[3].id.empty());
    CHECK(messages[2].role == Role::tool);
    CHECK(messages[2].tool_call_id == "b");
    CHECK(messages[2].parts[0].text_value == "text");
    CHECK_FALSE(messages[2].value);
    CHECK(messages[3].name == "f");
    CHECK(messages[3].value == R"({"t":15.0,"S":1})");
    CHECK(messages[4].parts.size() == 2);
    CHECK(messages[5].value == "null");
    CHECK(messages[6].value == "false");
    REQUIRE(messages[7].tool_responses.size() == 2);
    CHECK(messages[7].tool_responses[0].name == "f");
    CHECK(messages[7].tool_responses[0].value == "[1]");
    CHECK(messages[7].tool_responses[1].value == "null");
    CHECK(result->tools == R"([{"type":"function","function":{"name":"f","parameters":{"b":1,"a":2}}}])");
    CHECK(result->preserve_thinking);
    CHECK(result->notes.empty());
}

TEST_CASE("messages: mistakes with tools are named") {
    const std::string ask = R"({"role":"user","content":"x"})", call = R"({"role":"assistant","tool_calls":[)";
    check_refused("[" + ask + R"(,{"role":"tool","content":"15"}])", "message 1 is the result of a tool that nobody called");
    check_refused("[" + call + R"({"function":{"name":"f"}}],"tool_responses":[{"name":"f"}]},{"role":"tool","content":"x"}])",
                  "message 1 is the result of a tool that nobody called");
    check_refused(R"([{"role":"user","content":"x","tool_calls":[{"function":{"name":"f"}}]}])", "message 0 has calls of tools");
    check_refused("[" + call + R"(3]}])", "message 0, call 0 has no function with a name");
    check_refused("[" + call + R"({"function":{"name":""}}]}])", "message 0, call 0 has no function with a name");
    check_refused("[" + call + R"({"function":{"name":"f","arguments":"[1]"}}]}])", "message 0, call 0, arguments: the JSON is no object");
    check_refused("[" + call + R"({"function":{"name":"f","arguments":7}}]}])", "message 0, call 0, arguments: the JSON is no object");
    check_refused("[" + call + R"({"function":{"name":"f","arguments":"{a:1}"}}]}])", "call 0, arguments: not valid JSON at byte 2");
    check_refused("[" + call + R"({"function":{"name":"f","arguments":"{\"a\":1,\"a\":2}"}}]}])", "\"a\" stands twice");
    check_refused(R"([{"role":"assistant","tool_calls":{}}])", "message 0: \"tool_calls\" is not a list");
    const auto refuse_tools = [&](const std::string& tools, const std::string& says) {
        check_refused("{\"messages\":[" + ask + "],\"tools\":" + tools + "}", says);
        const auto alone = tools_from_json(tools);
        REQUIRE(!alone);
        CHECK(alone.error().message.find(says) != std::string::npos);
    };
    refuse_tools("3", "tools: there is no list of tools");
    refuse_tools("{}", "tools: there is no list of tools");
    refuse_tools(R"([{"name":"f"}])", "tools: tool 0 has no object \"function\"");
    refuse_tools(R"([{"function":{"name":"f"}},{"function":{"description":"d"}}])", "tools: tool 1 has no \"name\"");
    refuse_tools(R"([{"function":{"name":"f","description":3}}])", "\"description\" is not a string");
    refuse_tools(R"([{"function":{"name":"f","parameters":[1]}}])", "\"parameters\" is not an object");
    refuse_tools(R"([{"function":{"name":"f","parameters":{"properties":[1]}}}])", "\"properties\" is not an object");
    std::string deep = "{}";
    for (int i = 0; i < 50; ++i) deep = R"({"type":"object","properties":{"a":)" + deep + "}}";
    refuse_tools(R"([{"function":{"name":"f","parameters":)" + deep + "}}]", "nested deeper than 100 levels");
    CHECK(*tools_from_json(R"({"tools":[{"function":{"name":"f"}}]})") == R"([{"function":{"name":"f"}}])");
    CHECK(tools_from_json("[]")->empty());
}

TEST_CASE("messages: a key that stands twice is refused, at any depth") {
    check_refused(R"([{"role":"user","content":"a","content":"b"}])", "the key \"content\" stands twice");
    check_refused(R"({"messages":[{"role":"user","content":"x"}],"messages":[]})", "the key \"messages\" stands twice");
    check_refused(R"([{"role":"user","content":[{"type":"text","text":"a","type":"text"}]}])", "\"type\" stands twice");
}

TEST_CASE("messages: what is not obeyed is named once, in a short list") {
    const auto notes = [](const std::string& json) {
        const auto result = conversation_from_json(json);
        REQUIRE(result.has_value());
        return result->notes;
    };
    const std::string parts = R"("role":"user","content":[{"type":"text","text":"a","cache_control":1}])";
    CHECK(notes("{\"max_tokens\":9,\"top_p\":0.5,\"tools\":[],\"user\":null,\"messages\":[{" + parts + ",\"weight\":0},{" + parts +
                ",\"weight\":1}]}") ==
          std::vector<std::string>{"messages: not used: \"max_tokens\", \"top_p\", \"weight\" of a message, \"cache_control\" of a part"});
    std::string many;
    for (int i = 0; i < 3000; ++i) many += "\"k" + std::to_string(i) + "\":1,";
    const auto said = notes("{" + many + R"("messages":[{"role":"user","content":"x"}]})");
    REQUIRE(said.size() == 1);
    CHECK(said[0].ends_with(" and 2992 more"));
    CHECK(said[0].size() < 200);
    CHECK(notes(R"([{"role":"assistant","content":null,"reasoning":"r","tool_calls":[]},{"role":"user","content":"x"}])").empty());
}
