// Schemas and declarations of tools to grammars. Members are written in the order in which a schema declares them (arguments of
// calls: sorted, as the chat template prints them), optional ones may be left out; members that are not declared follow,
// where additionalProperties asks for them or there is no `properties`.
#pragma once

#include <string_view>

#include "lapidary/result.h"
#include "model/text/json_value.h"
#include "model/text/schema/grammar.h"

namespace lapidary::model {

// JSON texts that validate. bad_grammar: no JSON Schema, one that asks for what is not served, or one that nothing meets.
Result<Grammar> grammar_of_schema(std::string_view schema);
// `call:NAME{...}` of one of the tools (tool_markup.h), with arguments by their schemas, or, unless `held`, with any.
Result<Grammar> grammar_of_calls(const JsonValue& tools, bool held);

}  // namespace lapidary::model
