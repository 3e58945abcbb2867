// Follows the published template rule by rule, its odd ones too: a schema's keywords other than those named here are
// dropped, an object without properties shows its own unknown keywords as if they were some.
#include "model/text/tool_markup.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

#include "base/describe.h"
#include "base/try.h"
#include "base/utf8.h"

namespace lapidary::model {
namespace {

using Kind = JsonValue::Kind;

void write_quoted(PromptWriter& out, std::string_view text) {
    out.layout(kQuoteToken);
    out.typed(text);
    out.layout(kQuoteToken);
}

// str.lower() of Latin, Greek and Cyrillic letters; others have no case, or are no letters of keys.
char32_t lower(char32_t c) {
    const auto in = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
    if (in('A', 'Z') || (in(0xC0, 0xDE) && c != 0xD7) || (in(0x391, 0x3A9) && c != 0x3A2) || in(0x410, 0x42F)) return c + 32;
    if (in(0x400, 0x40F)) return c + 80;
    if ((in(0x100, 0x137) && c != 0x130) || in(0x14A, 0x177)) return c | 1;
    return c;
}

std::u32string folded(std::string_view key) {
    std::u32string out;
    while (!key.empty()) {
        const Utf8Head head = utf8_head(key);
        out += lower(head.code_point);
        key.remove_prefix(head.length_bytes);
    }
    return out;
}

// As Python prints what it read: integers as they are, others as the shortest digits that give the same value, with an
// exponent below 1e-4 and from 1e16 on.
std::string python_number(const std::string& spelled) {
    if (spelled.find_first_of(".eE") == std::string::npos) return spelled;
    double value = 0;
    std::from_chars(spelled.data(), spelled.data() + spelled.size(), value);
    const double size = value < 0 ? -value : value;
    const bool exponent = value != 0 && (size < 1e-4 || size >= 1e16);
    char digits[64];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), value,
                                   exponent ? std::chars_format::scientific : std::chars_format::fixed);
    std::string out(digits, end.ptr);
    return exponent || out.find('.') != std::string::npos ? out : out + ".0";
}

enum class Keys { bare, quoted };

void write_value(PromptWriter& out, const JsonValue& value, Keys keys);

void write_members(PromptWriter& out, const JsonValue& object, Keys keys) {
    bool first = true;
    for (const size_t i : printed_order(object.keys)) {
        if (!first) out.typed(",");
        first = false;
        keys == Keys::quoted ? write_quoted(out, object.keys[i]) : out.typed(object.keys[i]);
        out.typed(":");
        write_value(out, object.items[i], keys);
    }
}

void write_value(PromptWriter& out, const JsonValue& value, Keys keys) {
    switch (value.kind) {
        case Kind::null: out.typed("null"); break;
        case Kind::boolean: out.typed(value.text); break;
        case Kind::number: out.typed(python_number(value.text)); break;
        case Kind::string: write_quoted(out, value.text); break;
        case Kind::object:
            out.typed("{");
            write_members(out, value, keys);
            out.typed("}");
            break;
        case Kind::list:
            out.typed("[");
            for (size_t i = 0; i < value.items.size(); ++i) {
                if (i > 0) out.typed(",");
                write_value(out, value.items[i], keys);
            }
            out.typed("]");
    }
}

// ---- declarations ---------------------------------------------------------------------------------

std::string upper(std::string text) {
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    return text;
}

bool is_object(const JsonValue* value) { return value && value->is(Kind::object); }

// What Python takes for true.
bool holds_something(const JsonValue* value) {
    if (!value) return false;
    if (value->is(Kind::boolean)) return value->text == "true";
    if (value->is(Kind::number)) return value->text.find_first_of("123456789") != std::string::npos;
    return value->is(Kind::string) ? !value->text.empty() : !value->items.empty();
}

std::string type_text(const JsonValue& schema) {
    const auto types = types_of(schema);
    if (types.size() < 2) return types.empty() ? "" : types[0];
    std::string out;
    for (const std::string& type : types) out += (out.empty() ? "['" : "', '") + type;
    return out + "']";
}

bool takes_null(const JsonValue& schema) {
    const JsonValue* type = schema.find("type");
    if (!type || !type->is(Kind::list)) return holds_something(schema.find("nullable"));
    return holds_something(schema.find("nullable")) || types_of(schema).size() < type->items.size();
}

// One `{...}` of a declaration: puts the commas.
class Braces {
  public:
    explicit Braces(PromptWriter& out) : out_(out) { out_.typed("{"); }
    ~Braces() { out_.typed("}"); }
    Braces(const Braces&) = delete;
    Braces& operator=(const Braces&) = delete;

    PromptWriter& member(std::string_view key) {
        if (!first_) out_.typed(",");
        first_ = false;
        out_.typed(key);
        out_.typed(":");
        return out_;
    }

  private:
    PromptWriter& out_;
    bool first_ = true;
};

void write_required(PromptWriter& out, const JsonValue& names) {
    out.typed("[");
    bool first = true;
    for (const JsonValue& name : names.items) {
        if (!first) out.typed(",");
        first = false;
        write_quoted(out, name.text);
    }
    out.typed("]");
}

void write_property(PromptWriter& out, const JsonValue& schema);

// `own_keywords`: those of a schema itself are no properties.
void write_properties(PromptWriter& out, const JsonValue& properties, bool own_keywords = false) {
    constexpr std::string_view kKeywords[] = {"description", "type", "properties", "required", "nullable"};
    Braces braces(out);
    for (const size_t i : printed_order(properties.keys)) {
        const std::string& key = properties.keys[i];
        if (own_keywords && std::find(std::begin(kKeywords), std::end(kKeywords), key) != std::end(kKeywords)) continue;
        write_property(braces.member(key), properties.items[i]);
    }
}

void write_items(PromptWriter& out, const JsonValue& items) {
    Braces braces(out);
    for (const size_t i : printed_order(items.keys)) {
        const std::string& key = items.keys[i];
        const JsonValue& value = items.items[i];
        if (value.is(Kind::null)) continue;
        PromptWriter& member = braces.member(key);
        if (key == "properties") {
            write_properties(member, value.is(Kind::object) ? value : JsonValue());
        } else if (key == "required") {
            write_required(member, value);
        } else if (key == "type") {
            JsonValue type = value;
            type.text = upper(type.text);
            for (JsonValue& one : type.items) one.text = upper(one.text);
            write_value(member, type, Keys::quoted);
        } else {
            write_value(member, value, Keys::quoted);
        }
    }
}

void write_property(PromptWriter& out, const JsonValue& schema) {
    const std::string type = type_text(schema), description = schema.string_at("description");
    Braces braces(out);
    if (!description.empty()) write_quoted(braces.member("description"), description);
    if (type == "STRING" && holds_something(schema.find("enum")))
        write_value(braces.member("enum"), *schema.find("enum"), Keys::quoted);
    const JsonValue* items = schema.find("items");
    if (type == "ARRAY" && is_object(items) && holds_something(items)) write_items(braces.member("items"), *items);
    if (takes_null(schema)) braces.member("nullable").typed("true");
    if (type == "OBJECT") {
        const JsonValue* properties = schema.find("properties");
        const bool own = is_object(properties);
        write_properties(braces.member("properties"), own ? *properties : schema, !own);
        if (holds_something(schema.find("required"))) write_required(braces.member("required"), *schema.find("required"));
    }
    write_quoted(braces.member("type"), type);
}

// The template leaves the brace open that belongs to a missing type.
void write_type_and_close(PromptWriter& out, const std::string& type) {
    if (type.empty()) return;
    out.typed("type:");
    write_quoted(out, type);
    out.typed("}");
}

void write_parameters(PromptWriter& out, const JsonValue& parameters) {
    out.typed(",parameters:{");
    if (const JsonValue* properties = parameters.find("properties"); holds_something(properties)) {
        out.typed("properties:");
        write_properties(out, *properties);
        out.typed(",");
    }
    if (const JsonValue* required = parameters.find("required"); holds_something(required)) {
        out.typed("required:");
        write_required(out, *required);
        out.typed(",");
    }
    write_type_and_close(out, type_text(parameters));
}

void write_declaration(PromptWriter& out, const JsonValue& function) {
    out.layout("<|tool>");
    out.typed("declaration:");
    out.typed(function.string_at("name"));
    out.typed("{description:");
    write_quoted(out, function.string_at("description"));
    if (const JsonValue* parameters = function.find("parameters"); holds_something(parameters))
        write_parameters(out, *parameters);
    if (const JsonValue* response = function.find("response")) {
        out.typed(",response:{");
        if (const std::string description = response->string_at("description"); !description.empty()) {
            out.typed("description:");
            write_quoted(out, description);
            out.typed(",");
        }
        write_type_and_close(out, type_text(*response) == "OBJECT" ? "OBJECT" : "");
    }
    out.typed("}");
    out.layout("<tool|>");
}

Result<void> check_declaration(const JsonValue& tool, const std::string& where) {
    const auto refuse = [&where](std::string what) {
        return Error{Errc::invalid_argument, where + what,
                     R"(write {"type":"function","function":{"name":"...","description":"...","parameters":{...}}})"};
    };
    const JsonValue* function = tool.find("function");
    if (!is_object(function)) return refuse(" has no object \"function\"");
    if (function->string_at("name").empty()) return refuse(" has no \"name\"");
    const JsonValue* description = function->find("description");
    if (description && !description->is(Kind::string)) return refuse(": \"description\" is not a string");
    for (const char* key : {"parameters", "response"})
        if (function->find(key) && !is_object(function->find(key))) return refuse(concat(": \"", key, "\" is not an object"));
    const JsonValue* parameters = function->find("parameters");
    const JsonValue* properties = parameters ? parameters->find("properties") : nullptr;
    if (properties && !is_object(properties)) return refuse(": \"properties\" is not an object");
    return {};
}

}  // namespace

// Jinja's dictsort.
std::vector<size_t> printed_order(const std::vector<std::string>& keys) {
    std::vector<std::u32string> names;
    for (const std::string& key : keys) names.push_back(folded(key));
    std::vector<size_t> order(names.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return names[a] < names[b]; });
    return order;
}

std::vector<std::string> types_of(const JsonValue& schema) {
    std::vector<std::string> types;
    const JsonValue* type = schema.find("type");
    if (!type) return types;
    if (type->is(Kind::string)) types.push_back(upper(type->text));
    for (const JsonValue& one : type->items)
        if (one.is(Kind::string) && upper(one.text) != "NULL") types.push_back(upper(one.text));
    return types;
}

Result<JsonValue> parse_tools(std::string_view json) {
    if (json.empty()) return JsonValue{Kind::list};
    LAP_ASSIGN(JsonValue tools, parse_json(json, "tools"));
    if (!tools.is(Kind::list))
        return Error{Errc::invalid_argument, "tools: there is no list of tools",
                     R"(write [{"type":"function","function":{"name":"...",...}}])"};
    for (size_t i = 0; i < tools.items.size(); ++i)
        LAP_TRY(check_declaration(tools.items[i], concat("tools: tool ", i)));
    return tools;
}

Result<JsonValue> parse_arguments(std::string_view json, std::string_view name) {
    if (json.empty()) return JsonValue{Kind::object};
    LAP_ASSIGN(JsonValue arguments, parse_json(json, name));
    if (!arguments.is(Kind::object))
        return Error{Errc::invalid_argument, concat(name, ": the JSON is no object"), R"(write {"name":value,...})"};
    return arguments;
}

void write_declarations(PromptWriter& out, const JsonValue& tools) {
    for (const JsonValue& tool : tools.items) write_declaration(out, *tool.find("function"));
}

void write_call(PromptWriter& out, std::string_view name, const JsonValue& arguments) {
    out.layout("<|tool_call>");
    out.typed("call:");
    out.typed(name);
    out.typed("{");
    write_members(out, arguments, Keys::bare);
    out.typed("}");
    out.layout("<tool_call|>");
}

void write_response(PromptWriter& out, std::string_view name, const JsonValue& result) {
    out.layout("<|tool_response>");
    out.typed("response:");
    out.typed(name);
    if (result.is(Kind::object)) {
        write_value(out, result, Keys::bare);
    } else {
        out.typed("{value:");
        write_value(out, result, Keys::bare);
        out.typed("}");
    }
    out.layout("<tool_response|>");
}

}  // namespace lapidary::model
