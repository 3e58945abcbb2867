// A descent over the notation that tool_markup.cpp writes, straight to JSON text. It knows the quotes, so that strings
// may hold brackets, marks and newlines.
#include "model/text/tool_calls.h"

#include <algorithm>
#include <set>

#include "model/text/tool_markup.h"
#include "model/text/white_space.h"

namespace lapidary::model {
namespace {

using Kind = JsonValue::Kind;

constexpr std::string_view kCallEnd = "<tool_call|>", kCallName = "call:";
constexpr int kDeepestValue = 100;  // as parse_json

enum class Repair { none, single_quotes, last_quote, last_bracket, strings_of_schema };

class ArgumentReader {
  public:
    // `properties`: of the tool's parameters, if it was declared.
    ArgumentReader(std::string_view text, Repair repairs, const JsonValue* properties)
        : text_(text), repairs_(repairs), properties_(properties) {}

    // The whole text as a JSON object.
    std::optional<std::string> read() {
        if (!object(1)) return std::nullopt;
        skip_space();
        return at_ == text_.size() ? std::optional(std::move(out_)) : std::nullopt;
    }

  private:
    char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c) {
        if (next() != c) return false;
        ++at_;
        return true;
    }
    void skip_space() { at_ = text_.size() - trim_left(text_.substr(at_)).size(); }

    bool object(int depth) {
        if (depth > kDeepestValue || !take('{')) return false;
        out_ += '{';
        std::set<std::string> keys;
        skip_space();
        for (bool first = true; !first || next() != '}'; first = false) {
            auto name = key();
            if (!name || !take(':') || !keys.insert(*name).second) return false;
            out_ += (first ? "" : ",") + json_string(*name) + ':';
            if (!value(depth, depth == 1 ? &*name : nullptr)) return false;
            if (!take(',')) break;
        }
        out_ += '}';
        return take('}');
    }

    bool list(int depth) {
        if (depth > kDeepestValue || !take('[')) return false;
        out_ += '[';
        skip_space();
        for (bool first = true; !first || next() != ']'; first = false) {
            if (!first) out_ += ',';
            if (!value(depth, nullptr)) return false;
            if (!take(',')) break;
        }
        out_ += ']';
        return take(']');
    }

    // Between quotes of either kind, or bare up to the colon.
    std::optional<std::string> key() {
        skip_space();
        if (next() == kQuoteMark) {
            const auto name = until_quote();
            skip_space();
            return name ? std::optional(std::string(*name)) : std::nullopt;
        }
        if (next() == '"') {
            const auto name = parse_json(json_stretch(), "");
            skip_space();
            return name && name->is(Kind::string) ? std::optional(name->text) : std::nullopt;
        }
        const size_t end = std::min(text_.find_first_of(":}", at_), text_.size());
        const std::string_view name = trim(text_.substr(at_, end - at_));
        at_ = end;
        return name.find(kQuoteMark) == std::string_view::npos ? std::optional(std::string(name)) : std::nullopt;
    }

    // `member`: the name of the argument that it belongs to, unless it lies deeper.
    bool value(int depth, const std::string* member) {
        skip_space();
        const bool good = read_value(depth, member);
        skip_space();
        return good;
    }

    bool read_value(int depth, const std::string* member) {
        switch (next()) {
            case '{': return object(depth + 1);
            case '[': return list(depth + 1);
            case kQuoteMark: return string(until_quote());
            default: break;
        }
        if (next() == '\'' && repairs_ >= Repair::single_quotes) return string(in_single_quotes());
        const size_t begin = at_;
        const std::string_view bare = next() == '"' ? json_stretch() : bare_stretch();
        if (const auto plain = parse_json(bare, ""); plain && !plain->is(Kind::object) && !plain->is(Kind::list)) {
            out_ += bare;
            return true;
        }
        at_ = begin;
        return member && repairs_ >= Repair::strings_of_schema && takes_string(*member) && string(raw_string());
    }

    bool string(std::optional<std::string_view> text) {
        if (text) out_ += json_string(*text);
        return text.has_value();
    }

    std::optional<std::string_view> until_quote() {
        const size_t end = text_.find(kQuoteMark, at_ + 1);
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        return inside;
    }

    // Models that begin a string with ' sometimes end it with '<|"|>.
    std::optional<std::string_view> in_single_quotes() {
        const std::string_view quoted = stretch_to('\'');
        if (quoted.size() < 2 || quoted.find(kQuoteMark) != std::string_view::npos) return std::nullopt;
        take(kQuoteMark);
        return quoted.substr(1, quoted.size() - 2);
    }

    std::string_view json_stretch() { return stretch_to('"'); }

    // From the quote here to its partner, both included; empty if there is none. A backslash takes the next byte along.
    std::string_view stretch_to(char quote) {
        for (size_t end = at_ + 1; end < text_.size(); ++end) {
            if (text_[end] == '\\') {
                ++end;
            } else if (text_[end] == quote) {
                const std::string_view stretch = text_.substr(at_, end + 1 - at_);
                at_ = end + 1;
                return stretch;
            }
        }
        return {};
    }

    std::string_view bare_stretch() {
        const size_t end = std::min(text_.find_first_of(",}]", at_), text_.size());
        const std::string_view stretch = trim(text_.substr(at_, end - at_));
        at_ = end;
        return stretch;
    }

    const JsonValue* property(std::string_view name) const { return properties_ ? properties_->find(name) : nullptr; }

    bool takes_string(std::string_view name) const {
        const JsonValue* schema = property(name);
        const auto types = schema ? types_of(*schema) : std::vector<std::string>();
        return std::find(types.begin(), types.end(), "STRING") != types.end();
    }

    // Up to the next argument of the tool, or the last bracket.
    std::optional<std::string_view> raw_string() {
        size_t end = text_.rfind('}');
        if (end == std::string_view::npos || end < at_) return std::nullopt;
        size_t comma = std::string_view::npos;  // before what may be a name
        for (size_t i = at_; i < end; ++i) {
            if (text_[i] == ',') comma = i;
            if (text_[i] != ':' || comma == std::string_view::npos) continue;
            if (property(trim(text_.substr(comma + 1, i - comma - 1)))) end = comma;
            comma = std::string_view::npos;
        }
        const std::string_view raw = trim(text_.substr(at_, end - at_));
        if (raw.find(kQuoteMark) != std::string_view::npos) return std::nullopt;
        at_ = end;
        return raw;
    }

    std::string_view text_;
    Repair repairs_;
    const JsonValue* properties_;
    size_t at_ = 0;
    std::string out_;
};

const JsonValue* properties_of(const JsonValue& tools, std::string_view name) {
    for (const JsonValue& tool : tools.items) {
        const JsonValue* function = tool.find("function");
        if (!function || function->string_at("name") != name) continue;
        const JsonValue* parameters = function->find("parameters");
        return parameters ? parameters->find("properties") : nullptr;
    }
    return nullptr;
}

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
    std::string out;
    for (size_t found; (found = text.find(what)) != std::string_view::npos; text.remove_prefix(found + what.size()))
        out.append(text.substr(0, found)).append(by);
    return out.append(text);
}

std::string with_last_quote(std::string text) {
    if (std::count(text.begin(), text.end(), kQuoteMark) % 2 == 0) return text;
    const bool closed = text.ends_with('}') || text.ends_with(']');
    return text.insert(text.size() - (closed ? 1 : 0), 1, kQuoteMark);
}

}  // namespace

std::optional<ToolCall> parse_call(std::string_view text, const JsonValue& tools) {
    // Where the model spells the quotes, they are none of a string.
    std::string whole(text);
    if (text.find(kQuoteMark) == std::string_view::npos) whole = replaced(text, kQuoteToken, std::string(1, kQuoteMark));
    std::string_view call = trim(whole);
    while (call.ends_with(kCallEnd)) call = trim_right(call.substr(0, call.size() - kCallEnd.size()));
    const size_t brace = call.find('{');
    if (!call.starts_with(kCallName) || brace == std::string_view::npos) return std::nullopt;
    const std::string_view name = trim(call.substr(kCallName.size(), brace - kCallName.size()));
    if (name.empty() || name.find(kQuoteMark) != std::string_view::npos) return std::nullopt;

    std::string arguments(call.substr(brace));
    const JsonValue* properties = properties_of(tools, name);
    for (const Repair repairs : {Repair::none, Repair::single_quotes, Repair::last_quote, Repair::last_bracket,
                                 Repair::strings_of_schema}) {
        if (repairs == Repair::last_quote) arguments = with_last_quote(std::move(arguments));
        for (const char* bracket : {"", "}"}) {
            if (*bracket && repairs < Repair::last_bracket) continue;
            const std::string tried = arguments + bracket;
            if (auto object = ArgumentReader(tried, repairs, properties).read())
                return ToolCall{{}, std::string(name), std::move(*object)};
        }
    }
    return std::nullopt;
}

std::string call_text(std::string_view text) { return replaced(text, std::string(1, kQuoteMark), kQuoteToken); }

}  // namespace lapidary::model
