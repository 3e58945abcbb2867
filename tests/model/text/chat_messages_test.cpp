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
    check_refused(std::string(200000, '['), "not valid JSON");
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

TEST_CASE("messages: tools are refused for now") {
    check_refused(R"({"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]})",
                  "tools are not supported yet");
    check_refused(R"([{"role":"user","content":"x"},{"role":"tool","content":"15"}])",
                  "message 1: tools are not supported yet");
    check_refused(R"([{"role":"assistant","tool_calls":[{"id":"1"}]}])",
                  "message 0: tools are not supported yet");
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
