// Facts put together, values compared with them, and which facts no value can meet at once.
#include "model/text/schema/schema_facts.h"

#include <algorithm>
#include <iterator>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/schema/regex.h"

namespace lapidary::model {
namespace {

using Kind = JsonValue::Kind;

constexpr int kDeepestProof = 8;           // levels of values that a proof of exclusion looks into
constexpr size_t kMostProofs = 1'000'000;  // pairs of facts, and values
constexpr size_t kMostMet = 256;           // keywords of a kind that one value meets

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

// Appends a text that equal values share, and no others.
void spell(const JsonValue& value, std::string& out) {
    const auto sized = [&](std::string_view text) { out += concat(text.size(), ":", text); };
    switch (value.kind) {
        case Kind::null: out += 'z'; break;
        case Kind::boolean: out += value.text == "true" ? 't' : 'f'; break;
        case Kind::number: {
            const auto number = decimal_of(value.text);
            out += 'n';
            sized(number ? concat(number->negative ? "-" : "", number->whole, ".", number->fraction) : value.text);
            break;
        }
        case Kind::string:
            out += 's';
            sized(value.text);
            break;
        case Kind::list:
            out += '[';
            for (const JsonValue& item : value.items) spell(item, out);
            out += ']';
            break;
        case Kind::object: {
            std::vector<std::pair<std::string_view, const JsonValue*>> members;
            for (size_t i = 0; i < value.items.size(); ++i) members.emplace_back(value.keys[i], &value.items[i]);
            std::sort(members.begin(), members.end());
            out += '{';
            for (const auto& [key, item] : members) {
                sized(key);
                spell(*item, out);
            }
            out += '}';
        }
    }
}

std::shared_ptr<const Facts::Values> values_in_both(const Facts::Values& a, const Facts::Values& b) {
    auto out = std::make_shared<Facts::Values>();
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(*out),
                          [](const Facts::Value& x, const Facts::Value& y) { return x.id < y.id; });
    return out;
}

bool has_id(const Facts::Values& values, uint32_t id) {
    const auto at = std::lower_bound(values.begin(), values.end(), id, [](const Facts::Value& v, uint32_t wanted) { return v.id < wanted; });
    return at != values.end() && at->id == id;
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
    if (other.values) into.values = into.values ? values_in_both(*into.values, *other.values) : other.values;
    const NumberRange& numbers = other.numbers;
    if (numbers.low.there) into.numbers.at_least(numbers.low.value, numbers.low.open);
    if (numbers.high.there) into.numbers.at_most(numbers.high.value, numbers.high.open);
    into.numbers.integer = into.numbers.integer || numbers.integer;
    append_new(into.numbers.divisors, numbers.divisors);
    append_new(into.patterns, other.patterns);
    into.min_length = std::max(into.min_length, other.min_length);
    into.max_length = std::min(into.max_length, other.max_length);
    append_new(into.items, other.items);
    into.min_items = std::max(into.min_items, other.min_items);
    into.max_items = std::min(into.max_items, other.max_items);
    append_new(into.members, other.members);
    append_new(into.required, other.required);
    return into.types != 0;
}

uint32_t SchemaReader::id_of(const JsonValue& value) {
    const auto [at, fresh] = ids_.try_emplace(&value, 0);
    if (fresh) {
        std::string spelling;
        spell(value, spelling);
        at->second = spellings_.try_emplace(std::move(spelling), static_cast<uint32_t>(spellings_.size())).first->second;
    }
    return at->second;
}

// One of each, both at once.
Result<std::vector<Facts>> SchemaReader::met(const std::vector<Facts>& some, const std::vector<Facts>& others, const JsonValue* place) const {
    std::vector<Facts> both;
    for (const Facts& a : some)
        for (const Facts& b : others) {
            Facts facts = a;
            if (!meet(facts, b)) continue;
            const size_t most = std::max({facts.items.size(), facts.members.size(), facts.patterns.size(), facts.required.size(),
                                          facts.numbers.divisors.size()});
            if (most > kMostMet)
                return refused(place, "", concat("more than ", kMostMet, " schemas, patterns or names are asked of one value"), "have fewer in allOf and required");
            both.push_back(std::move(facts));
            if (both.size() > kMostAlternatives)
                return refused(place, "", concat("more than ", kMostAlternatives, " alternatives"), "have fewer in anyOf");
        }
    return both;
}

Result<const std::vector<Facts>*> SchemaReader::alternatives(const Goal& goal) {
    if (const auto known = goals_.find(goal); known != goals_.end()) return &known->second;
    std::vector<Facts> out(1);
    for (const JsonValue* schema : goal) {
        LAP_ASSIGN(const auto more, read(schema, 0));
        LAP_ASSIGN(out, met(out, more, schema));
    }
    return &(goals_[goal] = std::move(out));
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
    LAP_ASSIGN(const auto* all, alternatives(goal));
    for (const Facts& facts : *all) {
        LAP_ASSIGN(const bool good, admits(facts, value));
        if (good) return true;
    }
    return false;
}

Result<bool> SchemaReader::admits(const Facts& facts, const JsonValue& value) {
    constexpr Facts::Type kTypes[] = {Facts::null, Facts::boolean, Facts::number, Facts::string, Facts::list, Facts::object};
    if (!(facts.types & kTypes[static_cast<size_t>(value.kind)])) return false;
    if (facts.values && !has_id(*facts.values, id_of(value))) return false;
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
    LAP_ASSIGN(const auto* all_a, alternatives(a));
    LAP_ASSIGN(const auto* all_b, alternatives(b));
    for (const Facts& one : *all_a)
        for (const Facts& other : *all_b) {
            LAP_ASSIGN(const bool apart, exclude(one, other, depth));
            if (!apart) return false;
        }
    return true;
}

// True only where it is certain.
Result<bool> SchemaReader::exclude(const Facts& a, const Facts& b, int depth) {
    if (depth > kDeepestProof || ++proofs_ > kMostProofs) return false;
    const int types = a.types & b.types;
    if (a.values || b.values) {
        const auto values = !a.values ? b.values : b.values ? values_in_both(*a.values, *b.values) : a.values;
        for (const Facts::Value& one : *values) {
            if (++proofs_ > kMostProofs) return false;
            LAP_ASSIGN(const bool in_a, admits(a, *one.value));
            LAP_ASSIGN(const bool in_b, admits(b, *one.value));
            if (in_a && in_b) return false;
        }
        return true;
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
