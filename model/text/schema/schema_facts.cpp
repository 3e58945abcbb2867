// Facts put together, values compared with them, and which facts no value can meet at once.
#include "model/text/schema/schema_facts.h"

#include <algorithm>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/schema/regex.h"

namespace lapidary::model {
namespace {

using Kind = JsonValue::Kind;

constexpr int kDeepestProof = 8, kMostProofs = 100'000;  // levels of values that a proof of exclusion looks into, and pairs of facts

template <class T>
void append_new(std::vector<T>& into, const std::vector<T>& more) {
    for (const T& one : more)
        if (std::find(into.begin(), into.end(), one) == into.end()) into.push_back(one);
}

void add_goal(Goal& goal, const JsonValue* schema) {
    if (schema && std::find(goal.begin(), goal.end(), schema) == goal.end()) goal.push_back(schema);
}

const JsonValue* property_of(const JsonValue* properties, std::string_view name) {
    if (!properties) return nullptr;
    const auto found = std::find(properties->keys.begin(), properties->keys.end(), name);
    return found == properties->keys.end() ? nullptr : &properties->items[static_cast<size_t>(found - properties->keys.begin())];
}

}  // namespace

uint32_t characters_of(std::string_view text) {
    return static_cast<uint32_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

Goal Facts::item(size_t index) const {
    Goal goal;
    for (const Items& one : items) add_goal(goal, index < one.first.size() ? one.first[index] : one.rest);
    return goal;
}

size_t Facts::first_items() const {
    size_t most = 0;
    for (const Items& one : items) most = std::max(most, one.first.size());
    return most;
}

Goal Facts::member(std::string_view name) const {
    Goal goal;
    for (const Members& one : members) {
        const JsonValue* property = property_of(one.properties, name);
        add_goal(goal, property ? property : one.others);
    }
    return goal;
}

Goal Facts::other_members() const {
    Goal goal;
    for (const Members& one : members) add_goal(goal, one.others);
    return goal;
}

bool meet(Facts& into, const Facts& other) {
    into.types &= other.types;
    into.meant |= other.meant;
    if (into.has_values && other.has_values) {
        std::erase_if(into.values, [&](const JsonValue* value) {
            return std::none_of(other.values.begin(), other.values.end(), [&](const JsonValue* v) { return same_value(*v, *value); });
        });
    } else if (other.has_values) {
        into.has_values = true;
        into.values = other.values;
    }
    const NumberRange& numbers = other.numbers;
    if (numbers.low.there) into.numbers.at_least(numbers.low.value, numbers.low.open);
    if (numbers.high.there) into.numbers.at_most(numbers.high.value, numbers.high.open);
    into.numbers.integer = into.numbers.integer || numbers.integer;
    append_new(into.numbers.divisors, numbers.divisors);
    append_new(into.patterns, other.patterns);
    into.min_length = std::max(into.min_length, other.min_length);
    into.max_length = std::min(into.max_length, other.max_length);
    into.items.insert(into.items.end(), other.items.begin(), other.items.end());
    into.min_items = std::max(into.min_items, other.min_items);
    into.max_items = std::min(into.max_items, other.max_items);
    into.members.insert(into.members.end(), other.members.begin(), other.members.end());
    append_new(into.required, other.required);
    return into.types != 0;
}

bool same_value(const JsonValue& a, const JsonValue& b) {
    if (a.kind != b.kind) return false;
    if (a.is(Kind::number)) {
        const auto left = decimal_of(a.text), right = decimal_of(b.text);
        return left && right ? *left == *right : a.text == b.text;
    }
    if (a.text != b.text || a.items.size() != b.items.size()) return false;
    for (size_t i = 0; i < a.items.size(); ++i) {
        const JsonValue* other = a.is(Kind::object) ? property_of(&b, a.keys[i]) : &b.items[i];
        if (!other || !same_value(a.items[i], *other)) return false;
    }
    return true;
}

Result<std::vector<Facts>> SchemaReader::alternatives(const Goal& goal) {
    std::vector<Facts> out(1);
    for (const JsonValue* schema : goal) {
        LAP_ASSIGN(const auto more, read(schema, 0));
        std::vector<Facts> both;
        for (const Facts& a : out)
            for (const Facts& b : more) {
                Facts facts = a;
                if (meet(facts, b)) both.push_back(std::move(facts));
                if (both.size() > kMostAlternatives)
                    return refused(schema, "", concat("more than ", kMostAlternatives, " alternatives"), "have fewer in anyOf");
            }
        out = std::move(both);
    }
    return out;
}

Result<const Dfa*> SchemaReader::texts_of_pattern(const std::string& pattern, const JsonValue* place) {
    const auto known = patterns_.find(pattern);
    if (known != patterns_.end()) return &known->second;
    const auto nfa = nfa_of_pattern(pattern);
    if (!nfa) return refused(place, "", nfa.error().message, nfa.error().hint);
    auto dfa = determinize(*nfa, true);
    if (!dfa)
        return refused(place, "", concat("the pattern ", in_double_quotes(pattern), " needs more than ", kMaxDfaStates, " states"),
                       "make it simpler, or repeat less in it");
    return &(patterns_[pattern] = std::move(*dfa));
}

Result<bool> SchemaReader::goal_admits(const Goal& goal, const JsonValue& value) {
    LAP_ASSIGN(const auto all, alternatives(goal));
    for (const Facts& facts : all) {
        LAP_ASSIGN(const bool good, admits(facts, value));
        if (good) return true;
    }
    return false;
}

Result<bool> SchemaReader::admits(const Facts& facts, const JsonValue& value) {
    constexpr Facts::Type kTypes[] = {Facts::null, Facts::boolean, Facts::number, Facts::string, Facts::list, Facts::object};
    if (!(facts.types & kTypes[static_cast<size_t>(value.kind)])) return false;
    if (facts.has_values &&
        std::none_of(facts.values.begin(), facts.values.end(), [&](const JsonValue* v) { return same_value(*v, value); }))
        return false;
    if (value.is(Kind::number)) {
        const auto number = decimal_of(value.text);
        return number && facts.numbers.holds(*number);
    }
    if (value.is(Kind::string)) {
        const uint32_t length = characters_of(value.text);
        if (length < facts.min_length || length > facts.max_length) return false;
        for (const std::string& pattern : facts.patterns) {
            LAP_ASSIGN(const Dfa* texts, texts_of_pattern(pattern, &value));
            if (!texts->matches(value.text)) return false;
        }
    }
    if (value.is(Kind::list) && (value.items.size() < facts.min_items || value.items.size() > facts.max_items)) return false;
    if (value.is(Kind::object))
        for (const std::string& name : facts.required)
            if (!property_of(&value, name)) return false;
    for (size_t i = 0; i < value.items.size(); ++i) {
        LAP_ASSIGN(const bool good, goal_admits(value.is(Kind::list) ? facts.item(i) : facts.member(value.keys[i]), value.items[i]));
        if (!good) return false;
    }
    return true;
}

Result<bool> SchemaReader::goals_exclude(const Goal& a, const Goal& b, int depth) {
    LAP_ASSIGN(const auto all_a, alternatives(a));
    LAP_ASSIGN(const auto all_b, alternatives(b));
    for (const Facts& one : all_a)
        for (const Facts& other : all_b) {
            LAP_ASSIGN(const bool apart, exclude(one, other, depth));
            if (!apart) return false;
        }
    return true;
}

// True only where it is certain.
Result<bool> SchemaReader::exclude(const Facts& a, const Facts& b, int depth) {
    if (depth > kDeepestProof || ++proofs_ > kMostProofs) return false;
    const int types = a.types & b.types;
    for (const auto& [one, other] : {std::pair{&a, &b}, {&b, &a}}) {
        if (!one->has_values) continue;
        bool apart = true;
        for (size_t i = 0; apart && i < one->values.size(); ++i) {
            LAP_ASSIGN(const bool in_one, admits(*one, *one->values[i]));
            LAP_ASSIGN(const bool in_other, admits(*other, *one->values[i]));
            apart = !in_one || !in_other;
        }
        return apart;
    }
    if (types & (Facts::null | Facts::boolean)) return false;
    if (types & Facts::number) {
        NumberRange both = a.numbers;
        if (b.numbers.low.there) both.at_least(b.numbers.low.value, b.numbers.low.open);
        if (b.numbers.high.there) both.at_most(b.numbers.high.value, b.numbers.high.open);
        if (!both.empty()) return false;
    }
    if (types & Facts::string && std::max(a.min_length, b.min_length) <= std::min(a.max_length, b.max_length)) return false;
    if (types & Facts::list && std::max(a.min_items, b.min_items) <= std::min(a.max_items, b.max_items)) {
        bool apart = false;
        for (size_t i = 0; !apart && i < std::min<size_t>(std::max(a.min_items, b.min_items), 16); ++i) {
            LAP_ASSIGN(apart, goals_exclude(a.item(i), b.item(i), depth + 1));
        }
        if (!apart) return false;
    }
    if (types & Facts::object) {
        std::vector<std::string> names = a.required;
        append_new(names, b.required);
        bool apart = false;
        for (size_t i = 0; !apart && i < names.size(); ++i) {
            LAP_ASSIGN(apart, goals_exclude(a.member(names[i]), b.member(names[i]), depth + 1));
        }
        if (!apart) return false;
    }
    return true;
}

}  // namespace lapidary::model
