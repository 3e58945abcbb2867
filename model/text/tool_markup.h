// What the chat template writes about tools: declarations, calls and results, in a notation of its own. Strings stand
// between `<|"|>` as they are, keys are sorted without regard to case, numbers are printed as Python prints them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/text/json_value.h"
#include "model/text/prompt_writer.h"

namespace lapidary::model {

inline constexpr std::string_view kQuoteToken = "<|\"|>";  // around strings

// The tools of a conversation: a list of {"type":"function","function":{...}}, each with a name.
Result<JsonValue> parse_tools(std::string_view json);
// The arguments of a call: an object. No text is an object without members.
Result<JsonValue> parse_arguments(std::string_view json, std::string_view name);

// `<|tool>declaration:NAME{...}<tool|>` for each. The template prints a union of types as Python prints a list; one
// type or null is printed as that type and nullable, which is what the model was shown.
void write_declarations(PromptWriter& out, const JsonValue& tools);
void write_call(PromptWriter& out, std::string_view name, const JsonValue& arguments);
void write_response(PromptWriter& out, std::string_view name, const JsonValue& result);

// Places of keys in the order in which the template prints them: without regard to case, equal ones as they came.
std::vector<size_t> printed_order(const std::vector<std::string>& keys);

// A property's `type` in capitals; of a union the types that are not null.
std::vector<std::string> types_of(const JsonValue& schema);

}  // namespace lapidary::model
