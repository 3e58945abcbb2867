// Typed access to GGUF metadata; see gguf_fields.h.
#include "model/load/gguf_fields.h"

#include <cmath>

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::model {

namespace {
constexpr uint64_t kMaxListed = 1 << 24;  // numbers in one list: no vocabulary is larger
}  // namespace

std::string GgufFields::file() const { return in_quotes(gguf_->parts.front().path.string()); }

Error GgufFields::wrong(const char* key, const char* expected) const {
    const auto* value = get(key);
    const std::string found = value ? in_quotes(value->describe(60)) : std::string("missing");
    return {Errc::bad_model_file, concat(file(), ": the key ", prefix_, key, " is ", found, ", expected ", expected)};
}

Result<int32_t> GgufFields::integer(const char* key, std::optional<int32_t> fallback) const {
    const auto* value = get(key);
    if (!value && fallback) return *fallback;
    const auto number = value ? value->integer() : std::nullopt;
    if (!number || *number < INT32_MIN || *number > INT32_MAX) return wrong(key, "a whole number of 32 bits");
    return static_cast<int32_t>(*number);
}

Result<double> GgufFields::number(const char* key, std::optional<double> fallback) const {
    const auto* value = get(key);
    if (!value && fallback) return *fallback;
    const auto number = value ? value->number() : std::nullopt;
    if (!number || !std::isfinite(*number)) return wrong(key, "a finite number");
    return *number;
}

Result<bool> GgufFields::boolean(const char* key, bool fallback) const {
    const auto* value = get(key);
    if (!value) return fallback;
    const auto flag = value->boolean();
    if (!flag) return wrong(key, "true or false");
    return *flag;
}

Result<std::string> GgufFields::text(const char* key, const std::string& fallback) const {
    const auto* value = get(key);
    if (!value) return fallback;
    const auto text = value->text();
    if (!text) return wrong(key, "a text");
    return std::string(*text);
}

Result<std::vector<int32_t>> GgufFields::integers(const char* key) const {
    std::vector<int32_t> out;
    const auto* value = get(key);
    if (!value) return out;
    if (value->count > kMaxListed) return wrong(key, "a list of at most 16777216 numbers");
    const auto numbers = value->integers();
    if (!numbers) return wrong(key, "a list of whole numbers");
    for (const int64_t number : *numbers) {
        if (number < INT32_MIN || number > INT32_MAX) return wrong(key, "whole numbers of 32 bits");
        out.push_back(static_cast<int32_t>(number));
    }
    return out;
}

Result<int32_t> GgufFields::id(const char* key, int32_t vocabulary, std::vector<std::string>& notes) const {
    const auto* value = get(key);
    if (!value) return -1;
    const auto number = value->integer();
    if (!number) return wrong(key, "a token id");
    if (*number >= 0 && *number < vocabulary) return static_cast<int32_t>(*number);
    const bool none = *number == -1 || *number == UINT32_MAX;
    if (!none)
        notes.push_back(concat("'", prefix_, key, "' is ", *number, ", outside the ", vocabulary,
                               " tokens of the model; it is not used"));
    return -1;
}

Result<std::vector<int32_t>> GgufFields::per_layer(const char* key, int32_t count, std::optional<int32_t> fallback) const {
    const auto* value = get(key);
    if (value ? value->type != runtime::GgufType::array : fallback.has_value()) {
        LAP_ASSIGN(const int32_t number, integer(key, fallback));
        return std::vector<int32_t>(static_cast<size_t>(count), number);
    }
    LAP_ASSIGN(auto numbers, integers(key));
    if (numbers.size() != static_cast<size_t>(count))
        return wrong(key, concat("a number, or one for each of the ", count, " layers").c_str());
    return numbers;
}

}  // namespace lapidary::model
