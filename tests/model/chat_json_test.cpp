// Messages as a saved chat carries them: every field comes back, and damage is named.
#include "model/chat_json.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

std::vector<Message> every_field() {
    Message user{.role = Role::user};
    user.parts = {Part::text(" two\nlines, \"quotes\", 日本 "), Part::image("pictures/a.png"), Part::image(std::vector<uint8_t>{0, 255, 128, 7, 9, 1}, 2, 1),
                  Part::image(std::vector<uint8_t>{1}), Part::image(std::vector<uint8_t>{1, 2}), Part::image(std::vector<uint8_t>{1, 2, 3, 4}),
                  Part::audio(std::vector<float>{0.1f, -1.0f, 1e-30f}, 8000), Part::video("/v.mp4", {.fps = 0.1}),
                  Part::video(std::vector<uint8_t>(3, 255), {.count = 7}), Part::text("")};
    Message assistant{.role = Role::assistant, .parts = {Part::text("yes")}, .reasoning = "why\n", .plain_string = true};
    assistant.tool_calls = {{"call_1", "f", R"({"a": [1.50, null]})"}, {"", "g", ""}};
    Message tool{.role = Role::tool, .tool_call_id = "call_1", .name = "f", .value = ""};
    Message other{.role = Role::tool, .parts = {Part::text("x")}};
    Message answered{.role = Role::assistant, .tool_responses = {{"h", "null"}, {"", "1"}}};
    return {std::move(user), std::move(assistant), std::move(tool), std::move(other), std::move(answered), {.role = Role::developer}};
}

std::string saved_text() { return unwrap(model::chat_to_json({.system = "s", .think = true, .max_rounds = 3, .hold_tools = true}, every_field(), std::vector<uint32_t>{17})); }

}  // namespace

TEST_CASE("chat json: every field of every message comes back") {
    const model::ChatRecord record = unwrap(model::chat_from_json(saved_text()));
    CHECK(record.options.system == "s");
    CHECK(record.options.think);
    CHECK(record.options.max_rounds == 3);
    CHECK(record.options.hold_tools);
    CHECK(record.turns == std::vector<uint32_t>{17});
    const auto want = every_field();
    REQUIRE(record.messages.size() == want.size());
    for (size_t i = 0; i < want.size(); ++i) {
        CAPTURE(i);
        const Message &got = record.messages[i], &had = want[i];
        CHECK(got.role == had.role);
        CHECK(got.reasoning == had.reasoning);
        CHECK(got.plain_string == had.plain_string);
        CHECK(got.tool_call_id == had.tool_call_id);
        CHECK(got.name == had.name);
        CHECK(got.value == had.value);
        REQUIRE(got.tool_calls.size() == had.tool_calls.size());
        for (size_t k = 0; k < had.tool_calls.size(); ++k) {
            CHECK(got.tool_calls[k].id == had.tool_calls[k].id);
            CHECK(got.tool_calls[k].name == had.tool_calls[k].name);
            CHECK(got.tool_calls[k].arguments == had.tool_calls[k].arguments);
        }
        REQUIRE(got.tool_responses.size() == had.tool_responses.size());
        for (size_t k = 0; k < had.tool_responses.size(); ++k) {
            CHECK(got.tool_responses[k].name == had.tool_responses[k].name);
            CHECK(got.tool_responses[k].value == had.tool_responses[k].value);
        }
        REQUIRE(got.parts.size() == had.parts.size());
        for (size_t k = 0; k < had.parts.size(); ++k) {
            CAPTURE(k);
            const Part &a = got.parts[k], &b = had.parts[k];
            CHECK(a.kind == b.kind);
            CHECK(a.text_value == b.text_value);
            CHECK(a.path == (b.path.empty() ? b.path : std::filesystem::absolute(b.path)));
            CHECK(a.rgb == b.rgb);
            CHECK(a.width == b.width);
            CHECK(a.height == b.height);
            CHECK(a.samples == b.samples);
            CHECK(a.sample_rate == b.sample_rate);
            CHECK(a.encoded == b.encoded);
            CHECK(a.frames.count == b.frames.count);
            CHECK(a.frames.fps == b.frames.fps);
        }
    }
    CHECK(unwrap(model::chat_to_json(record.options, record.messages, record.turns)) == saved_text());
}

TEST_CASE("chat json: what is damaged is named, and what is no text is not saved") {
    const auto what = [](const std::string& text) {
        const auto read = model::chat_from_json(text);
        REQUIRE(!read);
        CHECK(read.error().code == Errc::bad_session_file);
        return read.error().message;
    };
    const std::string whole = saved_text();
    CHECK(what("") == "the file holds a session, and no chat");
    for (size_t length = 1; length < whole.size(); length += 41) what(whole.substr(0, length));
    const auto changed = [&](const char* pointer, const nlohmann::json& value) {
        auto json = nlohmann::json::parse(whole);
        json[nlohmann::json::json_pointer(pointer)] = value;
        return what(json.dump());
    };
    CHECK(changed("/chat", 2) == "the saved chat is damaged: it is of another version of this library");
    CHECK(changed("/messages/0/role", "pope") == "the saved chat is damaged: 'pope' is not known");
    CHECK(changed("/messages/0/parts/2/rgb", "AB=D") == "the saved chat is damaged: rgb is not base64");
    CHECK(changed("/messages/0/parts/2/rgb", "A?BC") == "the saved chat is damaged: rgb is not base64");
    CHECK(changed("/messages/0/parts/6/samples", "AAAA") == "the saved chat is damaged: samples are cut short");
    CHECK(changed("/turns", nlohmann::json::array()) == "the saved chat is damaged: its turns are not those of its messages");
    CHECK(changed("/messages/1/role", "developer").find("message 1 has calls of tools") != std::string::npos);
    changed("/messages/0/parts", 7);
    changed("/messages/1/tool_calls", "x");
    changed("/system", 1);
    changed("/turns", nlohmann::json{"a"});
    what(std::string(100000, '['));
    what(std::string(100000, '[') + std::string(100000, ']'));
    const std::vector<Message> bytes = {{.role = Role::user, .parts = {Part::image("/\xff.png")}}};
    const auto refused = model::chat_to_json({}, bytes, std::vector<uint32_t>{0});
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::invalid_argument);
}
