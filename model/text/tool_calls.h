// Reads a call that a model wrote, `call:NAME{key:value,...}`, and mends the slips that models make. reply_parser.h cuts
// it out of the reply.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lapidary/lapidary.h"
#include "model/text/json_value.h"

namespace lapidary::model {

// Stands for the token `<|"|>` in the text of a call: no byte of UTF-8, so strings may spell that token.
inline constexpr char kQuoteMark = '\xFF';

// `text` is valid UTF-8 before, between and behind those marks. The call without an id, its numbers as they were spelled;
// nothing where the text cannot be read. Tried in this order, each with those before it: as it stands, values in single
// quotes, a quote missing before the last bracket, the last bracket missing, and values without quotes where `tools`
// (tool_markup.h) say that a string belongs there.
std::optional<ToolCall> parse_call(std::string_view text, const JsonValue& tools);
// With the quotes spelled out.
std::string call_text(std::string_view text);

}  // namespace lapidary::model
