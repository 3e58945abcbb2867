// The keywords of a schema, one after the other.
#include <algorithm>
#include <charconv>
#include <span>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/schema/formats.h"
#include "model/text/schema/schema_facts.h"

namespace lapidary::model {
namespace {

using Kind = JsonValue::Kind;

constexpr int kDeepestSchema = 300;  // allOf, anyOf and $ref inside each other
constexpr uint32_t kMaxDivisor = 1000;

// Nothing of these changes what validates.
constexpr std::string_view kAnnotations[] = {"$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "title", "description",
                                             "default", "examples", "deprecated", "readOnly", "writeOnly", "contentEncoding",
                                             "contentMediaType"};
constexpr std::string_view kToolAnnotations[] = {"nullable", "example"};

bool is_annotation(std::string_view keyword, bool tools) {
    const auto among = [&](const auto& list) { return std::find(std::begin(list), std::end(list), keyword) != std::end(list); };
    return keyword.starts_with("x-") || among(kAnnotations) || (tools && among(kToolAnnotations));
}

bool is_true(const JsonValue& value) { return value.is(Kind::boolean) && value.text == "true"; }
bool is_false(const JsonValue& value) { return value.is(Kind::boolean) && value.text == "false"; }
bool is_schema(const JsonValue& value) { return value.is(Kind::object) || value.is(Kind::boolean); }

std::string unescaped(std::string_view part) {
    std::string out;
    for (size_t i = 0; i < part.size(); ++i) {
        int code = 0;
        if (part[i] == '%' && i + 2 < part.size() &&
            std::from_chars(part.data() + i + 1, part.data() + i + 3, code, 16).ptr == part.data() + i + 3) {
            out += static_cast<char>(code);
            i += 2;
        } else {
            out += part[i];
        }
    }
    std::string whole;
    for (size_t i = 0; i < out.size(); ++i) {
        const bool tilde = out[i] == '~' && i + 1 < out.size() && (out[i + 1] == '0' || out[i + 1] == '1');
        whole += tilde ? (out[++i] == '0' ? '~' : '/') : out[i];
    }
    return whole;
}

// Appends to `pointer` the way from a value to a place below it.
bool find_place(const JsonValue& from, const JsonValue* place, std::string& pointer) {
    if (&from == place) return true;
    const size_t length = pointer.size();
    for (size_t i = 0; i < from.items.size(); ++i) {
        pointer += '/';
        if (from.is(Kind::list)) pointer += std::to_string(i);
        if (from.is(Kind::object))
            for (const char c : from.keys[i]) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
        if (find_place(from.items[i], place, pointer)) return true;
        pointer.resize(length);
    }
    return false;
}

}  // namespace

struct SchemaReader::Draft {
    Facts facts;
    std::vector<std::vector<Facts>> factors;          // one alternative of each
    std::vector<std::vector<Facts>> apart;    // oneOf: of each alternative its facts
};

std::string SchemaReader::pointer_of(const JsonValue* place) const {
    std::string pointer = "#";
    find_place(root_, place, pointer);
    return pointer;
}

Error SchemaReader::refused(const JsonValue* place, std::string_view keyword, std::string_view what, std::string hint) const {
    const std::string pointer = concat(pointer_of(place), keyword.empty() ? "" : "/", keyword);
    return {Errc::bad_grammar, concat(name_, ": ", in_quotes(pointer), ": ", what), std::move(hint)};
}

const JsonValue* SchemaReader::settled(const JsonValue* schema) const {
    for (int i = 0; i < kDeepestSchema && schema->is(Kind::object); ++i) {
        const bool only = std::all_of(schema->keys.begin(), schema->keys.end(),
                                      [&](const std::string& key) { return key == "$ref" || is_annotation(key, tools_); });
        const JsonValue* reference = schema->find("$ref");
        if (!only || !reference || !reference->is(Kind::string)) break;
        const auto target = target_of(*schema, reference->text);
        if (!target) break;
        schema = *target;
    }
    return schema;
}

// As JsonValue::find; $defs may be many.
const JsonValue* SchemaReader::member_of(const JsonValue& object, std::string_view name) const {
    constexpr size_t kFew = 16;
    if (object.keys.size() <= kFew) return object.find(name);
    const auto [at, fresh] = large_.try_emplace(&object);
    if (fresh)
        for (size_t i = 0; i < object.keys.size(); ++i) at->second.emplace(object.keys[i], &object.items[i]);
    const auto found = at->second.find(name);
    return found == at->second.end() || found->second->is(Kind::null) ? nullptr : found->second;
}

Result<const JsonValue*> SchemaReader::target_of(const JsonValue& schema, const std::string& reference) const {
    if (reference != "#" && !reference.starts_with("#/"))
        return refused(&schema, "$ref", concat(in_double_quotes(reference), " does not point into the document"),
                       "copy the schema into $defs and write \"#/$defs/NAME\"");
    const JsonValue* at = &root_;
    std::string_view rest = std::string_view(reference).substr(1);
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const size_t end = std::min(rest.find('/'), rest.size());
        const std::string part = unescaped(rest.substr(0, end));
        rest.remove_prefix(end);
        const JsonValue* next = nullptr;
        if (at->is(Kind::object)) {
            next = member_of(*at, part);
        } else if (at->is(Kind::list)) {
            size_t index = at->items.size();
            std::from_chars(part.data(), part.data() + part.size(), index);
            if (index < at->items.size()) next = &at->items[index];
        }
        if (!next) return refused(&schema, "$ref", concat("there is no ", in_double_quotes(reference)), "name a place of this document");
        at = next;
    }
    return at;
}

Result<std::vector<Facts>> SchemaReader::read(const JsonValue* schema, int depth) {
    if (schema->is(Kind::boolean)) return is_true(*schema) ? std::vector<Facts>(1) : std::vector<Facts>();
    if (!schema->is(Kind::object)) return refused(schema, "", "this is no schema", "a schema is an object, true or false");
    if (depth > kDeepestSchema) return refused(schema, "", concat("more than ", kDeepestSchema, " schemas refer to each other"), "refer less");
    if (const auto known = known_.find(schema); known != known_.end()) {
        if (!known->second.done)
            return refused(schema, "", "the schema refers to itself with no value in between", "let it refer to itself inside of properties or items");
        return known->second.alternatives;
    }
    known_[schema];
    Draft draft;
    for (size_t i = 0; i < schema->keys.size(); ++i) LAP_TRY(read_keyword(*schema, i, draft, depth));
    std::vector<Facts> out = {draft.facts};
    for (const auto& factor : draft.factors) {
        LAP_ASSIGN(out, met(out, factor, schema));
    }
    Known& known = known_[schema];  // already for the proofs: what it refers to itself by stands inside of values
    known.done = true;
    known.alternatives = out;
    for (size_t i = 0; i < draft.apart.size(); ++i)
        for (size_t j = 0; j < i; ++j)
            for (Facts a : draft.apart[i])
                for (Facts b : draft.apart[j]) {
                    if (!meet(a, draft.facts) || !meet(b, draft.facts)) continue;
                    LAP_ASSIGN(const bool apart, exclude(a, b, 0));
                    if (!apart)
                        return refused(schema, "oneOf", concat("it is not plain that a value cannot meet both ", j, " and ", i),
                                       "write anyOf, or tell them apart by a required property with const");
                }
    return out;
}

Result<void> SchemaReader::read_types(const JsonValue& schema, const JsonValue& value, Facts& facts) {
    constexpr std::pair<std::string_view, uint8_t> kTypes[] = {
        {"null", Facts::null},     {"boolean", Facts::boolean}, {"integer", Facts::number}, {"number", Facts::number},
        {"string", Facts::string}, {"array", Facts::list},      {"object", Facts::object}};
    uint8_t types = 0;
    bool integer = false, number = false;
    const auto add = [&](const JsonValue& one) {
        std::string name = one.is(Kind::string) ? one.text : "";
        if (tools_)
            for (char& c : name)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        const auto row = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& r) { return r.first == name; });
        if (row == std::end(kTypes)) return false;
        types |= row->second;
        integer = integer || name == "integer";
        number = number || name == "number";
        return true;
    };
    const bool good = value.is(Kind::list) ? !value.items.empty() && std::all_of(value.items.begin(), value.items.end(), add) : add(value);
    if (!good)
        return refused(&schema, "type", concat(value.to_json(), " is no type"),
                       "types are null, boolean, integer, number, string, array and object");
    facts.types &= types;
    facts.numbers.integer = facts.numbers.integer || (integer && !number);
    return {};
}

Result<bool> SchemaReader::read_number_keyword(const JsonValue& schema, const std::string& keyword, const JsonValue& value, Facts& facts) {
    const bool low = keyword == "minimum" || keyword == "exclusiveMinimum", high = keyword == "maximum" || keyword == "exclusiveMaximum";
    if (!low && !high && keyword != "multipleOf") return false;
    facts.meant |= Facts::number;
    const auto number = value.is(Kind::number) ? decimal_of(value.text) : std::nullopt;
    if (!number) return refused(&schema, keyword, concat(value.to_json(), " is no number that is served"), "give a number; booleans were those of draft 4");
    if (low || high) {
        const bool beyond = number->whole.size() > kMaxDigits && number->negative == high;
        if (beyond) return refused(&schema, keyword, concat("numbers of more than ", kMaxDigits, " digits are not served"), "use smaller numbers");
        low ? facts.numbers.at_least(*number, keyword[0] == 'e') : facts.numbers.at_most(*number, keyword[0] == 'e');
        return true;
    }
    uint32_t divisor = 0;
    std::from_chars(number->whole.data(), number->whole.data() + number->whole.size(), divisor);
    if (number->negative || !number->is_integer() || number->whole.size() > 4 || divisor == 0 || divisor > kMaxDivisor)
        return refused(&schema, keyword, concat("only whole numbers from 1 to ", kMaxDivisor, " are served"), "check multiples afterwards");
    facts.numbers.integer = true;
    if (divisor > 1) facts.numbers.divisors.push_back(divisor);
    return true;
}

Result<bool> SchemaReader::read_size_keyword(const JsonValue& schema, const std::string& keyword, const JsonValue& value, Facts& facts) {
    struct Row {
        std::string_view keyword;
        uint8_t type;
        uint32_t Facts::*low, Facts::*high;
    };
    constexpr Row kRows[] = {{"minLength", Facts::string, &Facts::min_length, nullptr},
                             {"maxLength", Facts::string, nullptr, &Facts::max_length},
                             {"minItems", Facts::list, &Facts::min_items, nullptr},
                             {"maxItems", Facts::list, nullptr, &Facts::max_items}};
    const auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.keyword == keyword; });
    if (row == std::end(kRows)) return false;
    const auto number = value.is(Kind::number) ? decimal_of(value.text) : std::nullopt;
    uint32_t size = 0;
    if (!number || number->negative || !number->is_integer() || number->whole.size() > 9)
        return refused(&schema, keyword, concat(value.to_json(), " is no number from 0 to 999999999"), "give such a whole number");
    std::from_chars(number->whole.data(), number->whole.data() + number->whole.size(), size);
    facts.meant |= row->type;
    if (row->low) facts.*row->low = size;
    if (row->high) facts.*row->high = size;
    return true;
}

Result<void> SchemaReader::read_exclusive(const JsonValue& value, Draft& draft, int depth) {
    std::vector<Facts> any;
    for (const JsonValue& one : value.items) {
        LAP_ASSIGN(auto facts, read(settled(&one), depth + 1));
        any.insert(any.end(), facts.begin(), facts.end());
        draft.apart.push_back(std::move(facts));
    }
    draft.factors.push_back(std::move(any));
    return {};
}

Result<void> SchemaReader::read_keyword(const JsonValue& schema, size_t index, Draft& draft, int depth) {
    const std::string& keyword = schema.keys[index];
    const JsonValue& value = schema.items[index];
    Facts& facts = draft.facts;
    const auto wrong = [&](std::string_view what) { return refused(&schema, keyword, what, "see the JSON Schema specification"); };
    if (is_annotation(keyword, tools_)) return {};
    if (keyword == "type") return read_types(schema, value, facts);
    LAP_ASSIGN(const bool number, read_number_keyword(schema, keyword, value, facts));
    LAP_ASSIGN(const bool size, read_size_keyword(schema, keyword, value, facts));
    if (number || size) return {};

    if (keyword == "$ref") {
        if (!value.is(Kind::string)) return wrong("this is no string");
        LAP_ASSIGN(const JsonValue* target, target_of(schema, value.text));
        LAP_ASSIGN(auto all, read(target, depth + 1));
        draft.factors.push_back(std::move(all));
        return {};
    }
    if (keyword == "allOf" || keyword == "anyOf" || keyword == "oneOf") {
        if (!value.is(Kind::list) || value.items.empty()) return wrong("this is no list of schemas");
        if (value.items.size() > kMostAlternatives)
            return refused(&schema, keyword, concat(value.items.size(), " schemas, at most ", kMostAlternatives, " are served"), "have fewer");
        if (keyword == "oneOf") return read_exclusive(value, draft, depth);
        std::vector<Facts> any;
        for (const JsonValue& one : value.items) {
            LAP_ASSIGN(auto all, read(settled(&one), depth + 1));
            if (keyword == "allOf")
                draft.factors.push_back(std::move(all));
            else
                any.insert(any.end(), all.begin(), all.end());
        }
        if (keyword == "anyOf") draft.factors.push_back(std::move(any));
        return {};
    }
    if (keyword == "enum" || keyword == "const") {
        const bool list = keyword == "enum";
        if (list && !value.is(Kind::list)) return wrong("this is no list");
        if (list && value.items.size() > kMaxValues)
            return refused(&schema, keyword, concat(value.items.size(), " values, at most ", kMaxValues, " are served"), "write a pattern, or have fewer");
        auto values = std::make_shared<Facts::Values>();
        for (const JsonValue& one : list ? std::span(value.items) : std::span(&value, 1)) values->push_back({id_of(one), &one});
        std::stable_sort(values->begin(), values->end(), [](const Facts::Value& a, const Facts::Value& b) { return a.id < b.id; });
        Facts these;
        these.values = std::move(values);
        meet(facts, these);
        return {};
    }
    if (keyword == "pattern" || keyword == "format") {
        if (!value.is(Kind::string)) return wrong("this is no string");
        if (keyword == "format" && is_number_format(value.text)) return {};
        const std::string pattern = keyword == "pattern" ? value.text : std::string(pattern_of_format(value.text));
        if (keyword == "format" && pattern.empty())
            return refused(&schema, keyword, concat("the format ", in_double_quotes(value.text), " is not served"),
                           "date, time, date-time, uuid, email, hostname, ipv4 and uri are; write a pattern for others");
        LAP_TRY(texts_of_pattern(pattern, &value));
        facts.patterns.push_back(pattern);
        facts.meant |= Facts::string;
        return {};
    }
    if (keyword == "properties") {
        if (!value.is(Kind::object)) return wrong("this is no object of schemas");
        if (value.items.size() > kMaxMembers)
            return refused(&schema, keyword, concat(value.items.size(), " are declared, at most ", kMaxMembers, " are served"), "declare fewer");
        facts.members.push_back({&value, schema.find("additionalProperties")});
        facts.meant |= Facts::object;
        return {};
    }
    if (keyword == "additionalProperties") {
        if (!is_schema(value)) return wrong("this is no schema");
        if (!schema.find("properties")) facts.members.push_back({nullptr, &value});
        facts.meant |= Facts::object;
        return {};
    }
    if (keyword == "required") {
        if (!value.is(Kind::list)) return wrong("this is no list of names");
        if (value.items.size() > kMaxMembers)
            return refused(&schema, keyword, concat(value.items.size(), " names, at most ", kMaxMembers, " are served"), "require fewer");
        for (const JsonValue& name : value.items) {
            if (!name.is(Kind::string)) return wrong("this is no list of names");
            if (std::find(facts.required.begin(), facts.required.end(), name.text) == facts.required.end()) facts.required.push_back(name.text);
        }
        facts.meant |= Facts::object;
        return {};
    }
    if (keyword == "items" || keyword == "prefixItems" || keyword == "additionalItems") {
        facts.meant |= Facts::list;
        const JsonValue* items = schema.find("items");
        const JsonValue* prefix = items && items->is(Kind::list) ? items : schema.find("prefixItems");
        const JsonValue* rest = items && items->is(Kind::list) ? schema.find("additionalItems") : items;
        if (keyword == "additionalItems" && rest != &value) return {};  // without a list of items it says nothing
        if (prefix && !prefix->is(Kind::list)) return wrong("this is no list of schemas");
        if (rest && !is_schema(*rest)) return wrong("this is no schema");
        if (!facts.items.empty()) return {};  // read by the other keyword
        Facts::Items all{{}, rest};
        if (prefix)
            for (const JsonValue& one : prefix->items) all.first.push_back(&one);
        facts.items.push_back(std::move(all));
        return {};
    }
    const bool nothing = (keyword == "uniqueItems" && is_false(value)) || (keyword == "minProperties" && value.text == "0") ||
                         (keyword == "patternProperties" && value.is(Kind::object) && value.items.empty()) ||
                         (keyword == "unevaluatedProperties" && is_true(value)) || (keyword == "unevaluatedItems" && is_true(value));
    if (nothing) return {};
    return refused(&schema, keyword, "this keyword is not served",
                   "leave it out, and check what it asks for afterwards");
}

}  // namespace lapidary::model
