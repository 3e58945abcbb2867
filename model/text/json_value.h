// A JSON text as a tree that keeps what prompts depend on: the order of keys and the spelling of numbers. For the tools
// and messages of a conversation; everything else reads JSON with nlohmann's own types.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

struct JsonValue {
    enum class Kind { null, boolean, number, string, list, object };
    Kind kind = Kind::null;
    std::string text = {};              // string: what it says; number: as spelled; boolean: true or false
    std::vector<JsonValue> items = {};  // of a list; of an object the values
    std::vector<std::string> keys = {}; // of an object, one per item

    bool is(Kind other) const { return kind == other; }
    // Nothing where this is no object, has no such key, or has null there.
    const JsonValue* find(std::string_view key) const;
    // The string at `key`; empty if there is none.
    std::string string_at(std::string_view key) const;
    std::string to_json() const;
};

// `name` is the subject of errors. A key that stands twice in an object is one, and so is nesting beyond 100 levels.
Result<JsonValue> parse_json(std::string_view text, std::string_view name);
// In double quotes, with escapes. `text` is UTF-8.
std::string json_string(std::string_view text);

}  // namespace lapidary::model
