// Events of nlohmann's parser, which does not recurse, put together to a tree.
#include "model/text/json_value.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/describe.h"

namespace lapidary::model {
namespace {

using nlohmann::json;
using Kind = JsonValue::Kind;

constexpr size_t kDeepest = 100;

class TreeBuilder final : public nlohmann::json_sax<json> {
  public:
    explicit TreeBuilder(std::string_view name) : name_(name) {}

    bool null() override { return add({}); }
    bool boolean(bool value) override { return add({Kind::boolean, value ? "true" : "false"}); }
    bool number_integer(number_integer_t value) override { return add({Kind::number, std::to_string(value)}); }
    bool number_unsigned(number_unsigned_t value) override { return add({Kind::number, std::to_string(value)}); }
    bool number_float(number_float_t, const string_t& spelled) override { return add({Kind::number, spelled}); }
    bool string(string_t& value) override { return add({Kind::string, std::move(value)}); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(Kind::object); }
    bool start_array(std::size_t) override { return open(Kind::list); }
    bool key(string_t& value) override {
        open_.back().keys.push_back(std::move(value));
        return true;
    }
    bool end_object() override {
        std::vector<std::string_view> keys(open_.back().keys.begin(), open_.back().keys.end());
        std::sort(keys.begin(), keys.end());
        if (const auto twice = std::adjacent_find(keys.begin(), keys.end()); twice != keys.end())
            return fail("the key " + in_double_quotes(*twice) + " stands twice in one object", "leave one of them out");
        return end_array();
    }
    bool end_array() override {
        JsonValue done = std::move(open_.back());
        open_.pop_back();
        return add(std::move(done));
    }
    bool parse_error(std::size_t byte, const std::string&, const nlohmann::detail::exception& error) override {
        constexpr int kNumberOverflow = 406;
        if (error.id == kNumberOverflow) return fail("a number in the JSON is too large", "leave such numbers out");
        return fail(concat("not valid JSON at byte ", byte), "check the text with a JSON tool");
    }

    Result<JsonValue> take() {
        if (error_) return *error_;
        return std::move(root_);
    }

  private:
    bool fail(std::string what, std::string hint) {
        error_ = Error{Errc::invalid_argument, concat(name_, ": ", what), std::move(hint)};
        return false;
    }
    bool open(Kind kind) {
        if (open_.size() == kDeepest)
            return fail(concat("the JSON is nested deeper than ", kDeepest, " levels"), "make it flatter");
        open_.push_back({kind});
        return true;
    }
    bool add(JsonValue value) {
        if (open_.empty())
            root_ = std::move(value);
        else
            open_.back().items.push_back(std::move(value));
        return true;
    }

    std::string name_;
    std::vector<JsonValue> open_;  // the objects and lists around the current place
    JsonValue root_;
    std::optional<Error> error_;
};

}  // namespace

const JsonValue* JsonValue::find(std::string_view key) const {
    const auto found = std::find(keys.begin(), keys.end(), key);
    if (found == keys.end()) return nullptr;
    const JsonValue& value = items[static_cast<size_t>(found - keys.begin())];
    return value.is(Kind::null) ? nullptr : &value;
}

std::string JsonValue::string_at(std::string_view key) const {
    const JsonValue* value = find(key);
    return value && value->is(Kind::string) ? value->text : std::string();
}

std::string JsonValue::to_json() const {
    if (is(Kind::null)) return "null";
    if (is(Kind::string)) return json_string(text);
    if (!is(Kind::list) && !is(Kind::object)) return text;
    std::string out(1, is(Kind::list) ? '[' : '{');
    for (size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out += ',';
        if (is(Kind::object)) out += json_string(keys[i]) + ':';
        out += items[i].to_json();
    }
    return out += is(Kind::list) ? ']' : '}';
}

Result<JsonValue> parse_json(std::string_view text, std::string_view name) {
    TreeBuilder builder(name);
    const size_t nul = text.find('\0');  // which the parser takes for the end
    if (nul != std::string_view::npos)
        return Error{Errc::invalid_argument, concat(name, ": not valid JSON at byte ", nul + 1), "leave the NUL byte out"};
    json::sax_parse(text.begin(), text.end(), &builder);
    return builder.take();
}

std::string json_string(std::string_view text) { return json(text).dump(); }

}  // namespace lapidary::model
