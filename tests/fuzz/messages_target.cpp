// A conversation as JSON: read, rendered, and made into ids; and a saved chat.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "lapidary/tools.h"
#include "model/chat_json.h"
#include "model/text/chat_template.h"
#include "model/text/prompt_tokens.h"
#include "tests/fuzz/model_check.h"
#include "tests/fuzz/vocabularies.h"
#include "tests/support/scratch_folder.h"

namespace lapidary::fuzz {
namespace {

using namespace lapidary::model;

// What the layout itself may say as control tokens; everything else was written by somebody.
constexpr std::string_view kLayout[] = {
    "<bos>", "<|turn>", "<turn|>", "<|think|>", "<|channel>thought\n", "<channel|>", "system", "developer",
    "user",  "model",   "\n",      " ",       "<|tool>",             "<tool|>",    "<|tool_call>", "<tool_call|>",
    "<|tool_response>", "<tool_response|>", "<|\"|>"};

bool is_layout(std::string_view text) {
    while (!text.empty()) {
        const auto word = std::find_if(std::begin(kLayout), std::end(kLayout),
                                       [&](std::string_view known) { return text.starts_with(known); });
        if (word == std::end(kLayout)) return false;
        text.remove_prefix(word->size());
    }
    return true;
}

void add_controls(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                  std::vector<int32_t>& controls) {
    for (const int32_t id : ids)
        if (tokenizer.type(id) == TokenType::control) controls.push_back(id);
}

// The control tokens that the layout and the media bring, in order.
std::vector<int32_t> expected_controls(const Tokenizer& tokenizer, const RenderedPrompt& prompt) {
    std::vector<int32_t> controls;
    for (const RenderedPiece& piece : prompt.pieces) {
        if (piece.kind == PartKind::text && piece.parse_special)
            add_controls(tokenizer, *tokenizer.encode(piece.text, {.parse_special = true}), controls);
        if (piece.kind == PartKind::text) continue;
        const bool sound = piece.kind == PartKind::audio;
        const char* soft = sound ? "<|audio|>" : piece.kind == PartKind::video ? "<|video|>" : "<|image|>";
        for (const char* name :
             {sound ? "<|audio>" : "<|image>", soft, soft, sound ? "<audio|>" : "<image|>"})
            add_controls(tokenizer, {*tokenizer.special(name)}, controls);
    }
    return controls;
}

void check(const Conversation& conversation, RenderOptions options) {
    const auto prompt = render_chat(conversation.messages, options);
    if (!prompt) return check_error(prompt.error());
    std::string text;
    for (const RenderedPiece& piece : prompt->pieces) {
        text += piece.text;
        promise(options.allow_special || !piece.parse_special || is_layout(piece.text),
                "a text that somebody wrote can forge control tokens: " + piece.text);
    }
    promise(text == prompt->text, "the pieces are not the text");
    const Tokenizer& tokenizer = tiny_tokenizer();
    const auto is_media = [](const RenderedPiece& piece) { return piece.kind != PartKind::text; };
    const auto media = std::count_if(prompt->pieces.begin(), prompt->pieces.end(), is_media);
    const std::vector<std::vector<SoftBlock>> blocks(static_cast<size_t>(media), {{"00:00 ", 2}});
    const auto tokens = tokenize_prompt(tokenizer, *prompt, blocks);
    promise(tokens.has_value(), "a rendered conversation has no ids");
    std::vector<int32_t> controls;
    add_controls(tokenizer, tokens->ids, controls);
    promise(controls == expected_controls(tokenizer, *prompt), "control tokens other than the layout's");
    for (const SoftRun& run : tokens->runs)
        promise(run.position > 0 && run.position + run.soft_tokens < static_cast<int64_t>(tokens->ids.size()),
                "soft tokens outside the ids");
}

void check_chat(std::string_view text) {
    const auto chat = chat_from_json(text);
    if (!chat) return check_error(chat.error());
    const auto saved = chat_to_json(chat->options, chat->messages, chat->turns);
    promise(saved.has_value(), "a chat that was read cannot be saved");
    const auto again = chat_from_json(*saved);
    promise(again && chat_to_json(again->options, again->messages, again->turns).value() == *saved, "a saved chat is read as another");
}

void one(Bytes bytes) {
    check_chat(text_of(bytes));
    const auto conversation = conversation_from_json(text_of(bytes));
    if (!conversation) return check_error(conversation.error());
    for (const bool thinking : {false, true})
        for (const bool special : {false, true})
            check(*conversation,
                  {.thinking = thinking, .add_generation_prompt = true, .allow_special = special,
                   .tools = conversation->tools, .preserve_thinking = conversation->preserve_thinking});
}

std::vector<std::string> seeds() {
    std::vector<std::string> out = {
        R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi <turn|> \u00e9"}]})",
        R"([{"role":"user","content":[{"type":"image","path":"a.png"},{"type":"text","text":" What? "}]},
            {"role":"assistant","content":"<|channel>thought\nx<channel|>A dog.","reasoning":"see"},
            {"role":"user","content":[{"type":"audio","path":"a.wav"},{"type":"video","path":"v"}]}])",
        R"({"model":"m","stream":true,"messages":[{"role":"user","content":"a","name":"n"},{"role":"user","content":"b"}]})",
        R"([{"role":"user","content":[{"type":"text","text":"a","text":"b"}],"role":"system"}])",
        R"([{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f<turn|>","arguments":
            "{\"a\":[1.5,null,\"<|turn>\"]}"}}]},{"role":"tool","tool_call_id":"1","content":[{"type":"image","path":"a.png"},
            {"type":"text","text":"<|\"|>"}]},{"role":"tool","content":{"t":[]}},{"role":"assistant","content":"b"}])"};
    const std::vector<Message> said = {
        {.role = Role::user,
         .parts = {Part::text("a"), Part::image(std::vector<uint8_t>{1, 2, 3, 4, 5, 6}, 2, 1),
                   Part::audio(std::vector<float>{0.5f}, 8000), Part::video("/v", {.fps = 1})}},
        {.role = Role::assistant, .reasoning = "r", .tool_calls = {{"1", "f", "{}"}}},
        {.role = Role::tool, .tool_call_id = "1", .value = "1"}};
    out.push_back(chat_to_json({.system = "s"}, said, std::vector<uint32_t>{0}).value());
    const auto folder = std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/data/goldens";
    const auto with_tools = nlohmann::json::parse(test::read_file(folder / "chat_tools.json"));
    for (const auto& golden : with_tools["cases"]) {
        nlohmann::json request = {{"messages", golden["messages"]}};
        if (golden.contains("tools")) request["tools"] = golden["tools"];
        if (request.dump().size() < 1500) out.push_back(request.dump());
    }
    const auto goldens = nlohmann::json::parse(test::read_file(folder / "chat.json"));
    for (const auto& golden : goldens["conversations"]) {
        const std::string text = nlohmann::json{{"messages", golden["messages"]}}.dump();
        if (text.size() < 2000) out.push_back(text);
    }
    return out;
}

std::vector<std::string> words() {
    return {"\"role\"",
            "\"chat\":1",
            "\"turns\"",
            "\"parts\"",
            "\"kind\"",
            "\"rgb\"",
            "\"chat\":1",
            "\"turns\"",
            "\"parts\"",
            "\"kind\"",
            "\"rgb\"",
            "\"content\"",
            "\"messages\"",
            "\"system\"",
            "\"developer\"",
            "\"user\"",
            "\"assistant\"",
            "\"tool\"",
            "\"model\"",
            "\"reasoning\"",
            "\"reasoning_content\"",
            "\"tools\"",
            "\"tool_calls\"",
            "\"tool_call_id\"",
            "\"function\"",
            "\"tool_responses\"",
            "\"response\"",
            "\"parameters\"",
            "\"properties\"",
            "\"items\"",
            "\"required\"",
            "\"enum\"",
            "\"array\"",
            "\"object\"",
            "\"string\"",
            "\"name\"",
            "\"arguments\"",
            "\"type\"",
            "\"text\"",
            "\"image\"",
            "\"audio\"",
            "\"video\"",
            "\"path\"",
            "\"id\"",
            "<|turn>",
            "<turn|>",
            "<|channel>",
            "<channel|>",
            "<|image|>",
            "<|tool_call>",
            "<tool_call|>",
            "<|think|>",
            "<bos>",
            "<|\\\"|>",
            "\\u2581",
            "\\ud83d\\ude00",
            "\\n",
            "null",
            "1e999",
            "{\"role\":\"user\",\"content\":\"\"},"};
}

}  // namespace

const Target kMessages = {.name = "messages", .max_bytes = 8192, .one = one, .seeds = seeds, .words = words};

}  // namespace lapidary::fuzz
