// The text of a tool call as a model may write it, quotes as the byte FF: read, and written and read again.
#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "model/text/prompt_tokens.h"
#include "model/text/reply_parser.h"
#include "model/text/tool_calls.h"
#include "model/text/tool_markup.h"
#include "tests/fuzz/model_check.h"
#include "tests/fuzz/vocabularies.h"

namespace lapidary::fuzz {
namespace {

using namespace lapidary::model;

// Others are written bare and may read as something else.
bool has_plain_keys(const JsonValue& value) {
    const auto plain = [](const std::string& key) {
        return std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
    };
    return std::all_of(value.keys.begin(), value.keys.end(), plain) &&
           std::all_of(value.items.begin(), value.items.end(), has_plain_keys);
}

// Numbers are printed as Python prints them: 1e2 comes back as 100.0.
bool same(const JsonValue& a, const JsonValue& b) { return nlohmann::json::parse(a.to_json()) == nlohmann::json::parse(b.to_json()); }

void check_round_trip(const std::string& name, const JsonValue& arguments) {
    PromptWriter out(false);
    write_call(out, name, arguments);
    const auto tokens = tokenize_prompt(tiny_tokenizer(), out.take(), {});
    auto parser = ReplyParser::create(tiny_tokenizer());
    promise(tokens && parser, "a call has no ids");
    std::optional<ToolCall> call;
    for (const int32_t id : tokens->ids)
        if (auto delta = parser->feed(id); delta.call) call = delta.call;
    promise(call.has_value(), "a call that was written cannot be read");
    promise(call->name == name, "a call changes its name");
    promise(same(*parse_arguments(call->arguments, "arguments"), arguments), "arguments change: " + call->arguments);
}

void one(Bytes bytes) {
    static const JsonValue tools = *parse_tools(R"([{"function":{"name":"f","parameters":{"properties":{
        "s":{"type":"string"},"t":{"type":["string","null"]},"n":{"type":"integer"}}}}}])");
    const std::string text = text_of(bytes);
    std::string letters = text;
    std::replace(letters.begin(), letters.end(), kQuoteMark, '"');  // a mark parts characters
    if (!valid_utf8(letters)) return;
    promise(!call_text(text).empty() || text.empty(), "a call has no text");
    const auto call = parse_call(text, tools);
    if (!call) return;
    promise(!call->name.empty(), "a call without a name");
    const auto arguments = parse_arguments(call->arguments, "arguments");
    promise(arguments.has_value(), "arguments are no JSON object: " + call->arguments);
    // Spelled quotes of a name are read as quotes where there are no others, and U+2581 is decoded as a space.
    const bool odd = call->name.find(kQuoteToken) != std::string::npos || letters.find("\u2581") != std::string::npos ||
                     call->arguments.find("\u2581") != std::string::npos || call->arguments.find("\\u2581") != std::string::npos;
    if (!odd && has_plain_keys(*arguments)) check_round_trip(call->name, *arguments);
}

std::vector<std::string> seeds() {
    return {"call:f{s:\xFFx y\xFF,n:-1.50e3}", "call:ns:g.h{a:{b:[1,[],{c:null}],d:true}}<tool_call|>", "call:f{s:'x',t:\xFFy}",
            "call:f{s:no quotes, at all,n:3}", "call:f{a:\xFF}{,:]'\"\\\n<|\"|>\xFF,\xFF" "b c\xFF:\"d\\u00e9\"}", "call:f{a:<|\"|>x<|\"|>}",
            "call:f{s:[\xFF\xFF]", "call:f{}"};
}

std::vector<std::string> words() {
    return {"call:", "{", "}", "[", "]", ":", ",", "\xFF", "\xFF:", "'", "\"", "<|\"|>", "<tool_call|>", "null", "true", "1e5", "s:", ",n:", "\\", "\xC3\xA9"};
}

}  // namespace

const Target kCalls = {.name = "calls", .max_bytes = 4096, .one = one, .seeds = seeds, .words = words};

}  // namespace lapidary::fuzz
