// Typed access to JSON without exceptions; see json_fields.h.
#include "model/load/json_fields.h"

#include <cmath>

#include "base/describe.h"

namespace lapidary::model {
namespace {

using nlohmann::json;

std::optional<int32_t> small_integer(const json& value) {
    if (!value.is_number_integer()) return std::nullopt;
    if (value.is_number_unsigned() && value.get<uint64_t>() > INT32_MAX) return std::nullopt;
    const auto number = value.get<int64_t>();
    if (number < INT32_MIN || number > INT32_MAX) return std::nullopt;
    return static_cast<int32_t>(number);
}

}  // namespace

const json* JsonFields::get(const char* key) const {
    asked_.emplace(key);
    const auto at = object_->find(key);
    return at == object_->end() || at->is_null() ? nullptr : &*at;
}

Error JsonFields::wrong(const char* key, const char* expected) const {
    const json* value = get(key);
    const std::string found = value
                                  ? in_quotes(value->dump(-1, ' ', true, json::error_handler_t::replace), 60)
                                  : std::string("missing");
    return {Errc::bad_model_file, concat(where_, ": ", key, " is ", found, ", expected ", expected)};
}

Result<int32_t> JsonFields::integer(const char* key, std::optional<int32_t> fallback) const {
    const json* value = get(key);
    if (!value && fallback) return *fallback;
    const auto number = value ? small_integer(*value) : std::nullopt;
    if (!number) return wrong(key, "a whole number of 32 bits");
    return *number;
}

Result<double> JsonFields::number(const char* key, std::optional<double> fallback) const {
    const json* value = get(key);
    if (!value && fallback) return *fallback;
    if (!value || !value->is_number()) return wrong(key, "a number");
    const auto number = value->get<double>();
    if (!std::isfinite(number)) return wrong(key, "a finite number");
    return number;
}

Result<bool> JsonFields::boolean(const char* key, bool fallback) const {
    const json* value = get(key);
    if (!value) return fallback;
    if (!value->is_boolean()) return wrong(key, "true or false");
    return value->get<bool>();
}

Result<std::string> JsonFields::text(const char* key, const std::string& fallback) const {
    const json* value = get(key);
    if (!value) return fallback;
    if (!value->is_string()) return wrong(key, "a text");
    return value->get<std::string>();
}

Result<std::vector<int32_t>> JsonFields::integers(const char* key) const {
    std::vector<int32_t> out;
    const json* value = get(key);
    if (!value) return out;
    const json list = value->is_array() ? *value : json::array({*value});
    for (const json& item : list) {
        const auto number = small_integer(item);
        if (!number) return wrong(key, "a whole number or a list of them");
        out.push_back(*number);
    }
    return out;
}

Result<const json*> JsonFields::object(const char* key) const {
    const json* value = get(key);
    if (value && !value->is_object()) return wrong(key, "an object");
    return value;
}

Result<const json*> JsonFields::array(const char* key) const {
    const json* value = get(key);
    if (value && !value->is_array()) return wrong(key, "a list");
    return value;
}

void JsonFields::without_effect(std::initializer_list<const char*> keys) const {
    asked_.insert(keys.begin(), keys.end());
}

void JsonFields::neutral(const char* key, const json& value) const {
    const auto at = object_->find(key);
    if (at != object_->end() && *at == value) asked_.emplace(key);
}

void JsonFields::note_rest(std::vector<std::string>& notes) const {
    std::vector<std::string> names;
    for (const auto& [key, value] : object_->items())
        if (!value.is_null() && !asked_.contains(key)) names.push_back(in_quotes(key, 60));
    if (names.empty()) return;
    notes.push_back(concat(where_, ": ", short_list(names), names.size() == 1 ? " is not used" : " are not used"));
}

}  // namespace lapidary::model
