// A rule for every goal that a value can have, made when it is first asked for; a queue keeps the descent flat.
#include "model/text/schema/grammar_builder.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/schema/grammar_writer.h"
#include "model/text/schema/schema_facts.h"
#include "model/text/tool_markup.h"

namespace lapidary::model {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxStates = 500'000, kMaxRules = 20'000, kMaxFacts = 200'000;
constexpr uint32_t kMostCounted = 2000;  // items, where they are counted

enum class Notation { json, call };

uint64_t hash_of_key(std::string_view key) {
    uint64_t hash = kFirstKeyHash;
    for (const char c : key) hash = key_hash(hash, static_cast<uint8_t>(c));
    return hash;
}

// What may stand in a string as it is, or behind a backslash as one letter.
bool may_be_written(uint8_t byte, Notation notation) {
    if (byte >= 0x20) return true;
    return byte == '\t' || byte == '\n' || byte == '\r' || (notation == Notation::json && (byte == '\b' || byte == '\f'));
}

class GrammarBuilder {
  public:
    explicit GrammarBuilder(Notation notation) : notation_(notation) {}

    GrammarWriter out;

    // The rule of values that meet the goal; written by finish_rules().
    uint32_t rule_of(SchemaReader& reader, const Goal& goal, bool object_only = false) {
        Goal settled;
        for (const JsonValue* schema : goal) settled.push_back(reader.settled(schema));
        const auto [at, fresh] = rules_.try_emplace({&reader, settled, object_only}, 0);
        if (fresh) {
            at->second = out.rule(1);
            waiting_.push_back({&reader, std::move(settled), object_only, at->second});
        }
        return at->second;
    }

    Result<void> finish_rules() {
        while (!waiting_.empty()) {
            const Waiting next = waiting_.front();
            waiting_.pop_front();
            LAP_TRY(write_rule(next));
            if (too_large()) return refused_as_too_large(next);
        }
        return {};
    }

  private:
    struct Waiting {
        SchemaReader* reader;
        Goal goal;
        bool object_only;
        uint32_t rule;
    };

    bool too_large() const { return out.size() > kMaxStates || out.rules() > kMaxRules || facts_ > kMaxFacts; }
    static Error refused_as_too_large(const Waiting& w) {
        return w.reader->refused(place_of(w), "",
                                 concat("the schema needs more than ", kMaxStates, " states, ", kMaxRules, " rules or ", kMaxFacts, " values and alternatives"),
                                 "make it smaller, or its enums and counts");
    }

    static const JsonValue* place_of(const Waiting& w) { return w.goal.empty() ? &w.reader->root() : w.goal.front(); }
    bool json() const { return notation_ == Notation::json; }
    uint32_t gap(uint32_t next) { return json() ? out.gap(next) : next; }

    Result<void> write_rule(const Waiting& w) {
        LAP_ASSIGN(const auto* alternatives, w.reader->alternatives(w.goal));
        const uint32_t done = out.done();
        std::vector<uint32_t> ways;
        std::vector<Symbols> literals;
        for (Facts facts : *alternatives) {
            facts_ += 1 + (facts.values ? facts.values->size() : 0);
            if (too_large()) return refused_as_too_large(w);
            if (facts.types == Facts::every && !facts.values && facts.meant) facts.types = facts.meant;
            if (w.object_only) facts.types &= Facts::object;
            if (facts.values) {
                for (const Facts::Value& one : *facts.values) {
                    LAP_ASSIGN(const bool good, w.reader->admits(facts, *one.value));
                    if (good) literals.push_back(literal_of(*one.value));
                }
                continue;
            }
            if (facts.types & Facts::null) literals.push_back(symbols_of("null"));
            if (facts.types & Facts::boolean) literals.insert(literals.end(), {symbols_of("true"), symbols_of("false")});
            if (facts.types & Facts::number) {
                LAP_ASSIGN(const uint32_t number, number_state(w, facts, done));
                ways.push_back(number);
            }
            if (facts.types & Facts::string) {
                LAP_ASSIGN(const uint32_t text, string_state(w, facts, done));
                ways.push_back(text);
            }
            if (facts.types & Facts::list) {
                LAP_ASSIGN(const uint32_t list, list_state(w, facts, done));
                ways.push_back(list);
            }
            if (facts.types & Facts::object) {
                LAP_ASSIGN(const uint32_t object, object_state(w, facts, done));
                ways.push_back(object);
            }
        }
        if (!literals.empty()) ways.push_back(out.one_of(std::move(literals), done));
        std::sort(ways.begin(), ways.end());
        ways.erase(std::unique(ways.begin(), ways.end()), ways.end());
        out.set_rule(w.rule, out.fork(std::move(ways)));
        return {};
    }

    // ---- scalars --------------------------------------------------------------------------------------

    Symbols quoted(std::string_view text) const {
        if (json()) return symbols_of(json_string(text));
        Symbols symbols = symbols_of(text);
        symbols.insert(symbols.begin(), kQuoteSymbol);
        symbols.push_back(kQuoteSymbol);
        return symbols;
    }

    // Keys of calls stand bare where they can.
    Symbols key_of(std::string_view name) const {
        const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
            return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' || c == '$';
        });
        return json() || !bare ? quoted(name) : symbols_of(name);
    }

    Symbols literal_of(const JsonValue& value) const {
        if (value.is(Kind::string)) return quoted(value.text);
        if (!value.is(Kind::list) && !value.is(Kind::object)) return symbols_of(value.is(Kind::null) ? "null" : value.text);
        const bool object = value.is(Kind::object);
        Symbols whole = symbols_of(object ? "{" : "[");
        const auto append = [&](const Symbols& more) { whole.insert(whole.end(), more.begin(), more.end()); };
        for (size_t i = 0; i < value.items.size(); ++i) {
            if (i > 0) append(symbols_of(","));
            if (object) append(key_of(value.keys[i]));
            if (object) append(symbols_of(":"));
            append(literal_of(value.items[i]));
        }
        append(symbols_of(object ? "}" : "]"));
        return whole;
    }

    Result<uint32_t> number_state(const Waiting& w, const Facts& facts, uint32_t next) {
        const auto text = [](const NumberRange::Bound& b) {
            return concat(b.there ? "" : "-", b.open ? "o" : "c", b.value.negative ? "-" : "", b.value.whole, ".", b.value.fraction, ";");
        };
        const NumberRange& range = facts.numbers;
        std::string name = concat(text(range.low), text(range.high), range.integer ? "i" : "n");
        for (const uint32_t divisor : range.divisors) name += concat(",", divisor);
        const auto [at, fresh] = numbers_.try_emplace(name, 0);
        if (fresh) {
            const auto dfa = texts_of(range);
            if (!dfa)
                return w.reader->refused(place_of(w), "", concat("its numbers need more than ", kMaxDfaStates, " states"), "use fewer divisors");
            at->second = out.rule(0);
            out.set_rule(at->second, out.texts_of(*dfa, out.done()));
        }
        return out.call(at->second, next);
    }

    Result<uint32_t> string_state(const Waiting& w, const Facts& facts, uint32_t next) {
        TextRule rule{.least = facts.min_length, .most = facts.max_length, .close = json() ? uint16_t{'"'} : kQuoteSymbol, .json = json()};
        if (!facts.patterns.empty()) {
            LAP_ASSIGN(rule.table, table_of(w, facts));
        }
        return out.symbol(json() ? uint16_t{'"'} : kQuoteSymbol, out.text(std::move(rule), next));
    }

    Result<int32_t> table_of(const Waiting& w, const Facts& facts) {
        std::string name = concat(facts.min_length, ",", facts.max_length);
        for (const std::string& pattern : facts.patterns) name += concat("\n", pattern.size(), ":", pattern);
        const auto [at, fresh] = tables_.try_emplace(name, 0);
        if (!fresh) return at->second;
        std::optional<Dfa> all;
        const auto table_too_large = [&] {
            return w.reader->refused(place_of(w), "", concat("the patterns and lengths of its strings need more than ", kMaxDfaStates, " states together"),
                                     "make a pattern simpler, or the lengths smaller");
        };
        for (const std::string& pattern : facts.patterns) {
            LAP_ASSIGN(const Dfa* texts, w.reader->texts_of_pattern(pattern, place_of(w)));
            all = all ? intersect(*all, *texts) : *texts;
            if (!all) return table_too_large();
        }
        if (facts.min_length > 0 || facts.max_length != UINT32_MAX) all = with_length(*all, facts.min_length, facts.max_length);
        if (!all) return table_too_large();
        at->second = static_cast<int32_t>(out.table(trimmed(*all, [&](uint8_t byte) { return may_be_written(byte, notation_); })));
        return at->second;
    }

    // ---- lists and objects ----------------------------------------------------------------------------

    Result<uint32_t> list_state(const Waiting& w, const Facts& facts, uint32_t next) {
        const bool bounded = facts.max_items != UINT32_MAX;
        const auto last = bounded ? facts.max_items : std::max(static_cast<uint32_t>(facts.first_items()), facts.min_items);
        if (last > kMostCounted || facts.min_items > kMostCounted)
            return w.reader->refused(place_of(w), facts.min_items > kMostCounted ? "minItems" : "maxItems",
                                     concat("more than ", kMostCounted, " items are not counted"), "use a smaller number, or none");
        if (facts.min_items > last) return out.fork({});
        const uint32_t close = out.symbol(']', next), spaced_close = gap(close);
        const auto item = [&](uint32_t i, uint32_t behind) { return out.call(rule_of(*w.reader, facts.item(i)), behind); };
        // Behind `last` items: the end, or one more and the same again.
        uint32_t behind = spaced_close;
        if (!bounded) {
            behind = out.place();
            out.set(behind, {spaced_close, out.symbol(',', gap(item(last, behind)))});
        }
        const uint32_t endless = behind;
        for (uint32_t i = last; i-- > 1;) {  // behind i items
            const uint32_t more = out.symbol(',', gap(item(i, behind)));
            behind = i >= facts.min_items ? out.fork({spaced_close, more}) : more;
        }
        std::vector<uint32_t> first;
        if (facts.min_items == 0) first.push_back(close);
        if (last > 0 || !bounded) first.push_back(item(0, last > 0 ? behind : endless));
        return out.symbol('[', gap(out.fork(std::move(first))));
    }

    // Members in the order in which they are written.
    std::vector<std::string> names_of(const Facts& facts) const {
        std::vector<std::string> names;
        const auto add = [&](const std::string& name) {
            if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
        };
        for (const Facts::Members& one : facts.members)
            if (one.properties)
                for (const std::string& name : one.properties->keys) add(name);
        for (const std::string& name : facts.required) add(name);
        if (json()) return names;
        std::vector<std::string> sorted;
        for (const size_t i : printed_order(names)) sorted.push_back(names[i]);
        return sorted;
    }

    // Keys that are not declared, from their first letter to the value behind them.
    uint32_t other_key(const std::vector<std::string>& names, uint32_t value) {
        TextRule rule{.close = json() ? uint16_t{'"'} : uint16_t{':'}, .json = json(), .key = true};
        for (const std::string& name : names) rule.taken.push_back(hash_of_key(name));
        std::sort(rule.taken.begin(), rule.taken.end());
        if (json()) return out.symbol('"', out.text(std::move(rule), out.symbol(':', gap(value))));
        if (bare_keys_ < 0) {
            Nfa nfa;
            nfa.accept = nfa.add({});
            const CharRanges letters = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
            const uint32_t more = nfa.split(Nfa::kNone, nfa.accept), letter = nfa.character(letters, more);
            nfa.states[more].to = nfa.start = letter;
            bare_keys_ = static_cast<int32_t>(out.table(*determinize(nfa, false)));
        }
        rule.table = bare_keys_;
        return out.text(std::move(rule), value);
    }

    Result<uint32_t> object_state(const Waiting& w, const Facts& facts, uint32_t next) {
        const std::vector<std::string> names = names_of(facts);
        if (names.size() > kMaxMembers)
            return w.reader->refused(place_of(w), "properties", concat(names.size(), " are declared, at most ", kMaxMembers, " are served"), "declare fewer");
        const bool named = std::any_of(facts.members.begin(), facts.members.end(), [](const Facts::Members& m) { return m.others != nullptr; });
        const bool declared = !names.empty() || std::any_of(facts.members.begin(), facts.members.end(),
                                                            [](const Facts::Members& m) { return m.properties != nullptr; });
        const bool others = named || !declared;
        const auto is_required = [&](const std::string& name) {
            return std::find(facts.required.begin(), facts.required.end(), name) != facts.required.end();
        };
        const uint32_t close = out.symbol('}', next), spaced_close = gap(close);
        // `behind`: where a member with this number and those in front have been decided on, and one was written. `member`: there
        // a comma stood, or nothing was written yet.
        uint32_t behind = spaced_close, member = out.fork({});
        if (others) {
            behind = out.place();
            member = other_key(names, out.call(rule_of(*w.reader, facts.other_members()), behind));
            out.set(behind, {spaced_close, out.symbol(',', gap(member))});
        }
        bool may_end = true;
        for (size_t i = names.size(); i-- > 0;) {
            const uint32_t value = out.call(rule_of(*w.reader, facts.member(names[i])), behind);
            const uint32_t written = out.literal(key_of(names[i]), out.symbol(':', gap(value)));
            const bool required = is_required(names[i]);
            member = required ? written : out.fork({written, member});
            may_end = may_end && !required;
            const uint32_t more = out.symbol(',', gap(member));
            behind = may_end ? out.fork({spaced_close, more}) : more;
        }
        return out.symbol('{', gap(may_end ? out.fork({close, member}) : member));
    }

    Notation notation_;
    std::map<std::tuple<SchemaReader*, Goal, bool>, uint32_t> rules_;
    std::deque<Waiting> waiting_;
    size_t facts_ = 0;  // of all rules, with their values
    std::map<std::string, uint32_t> numbers_;
    std::map<std::string, int32_t> tables_;
    int32_t bare_keys_ = -1;
};

// That a goal cannot be met, whatever is said.
Error contradiction(const SchemaReader& reader) {
    return reader.refused(&reader.root(), "", "no value meets this schema, or none that is less than 100 values deep",
                          "look for types, bounds, patterns and required properties that exclude each other");
}

}  // namespace

Result<Grammar> grammar_of_schema(std::string_view text) {
    auto document = parse_json(text, "the schema");
    if (!document) return Error{Errc::bad_grammar, document.error().message, document.error().hint};
    SchemaReader reader(*document, "the schema");
    GrammarBuilder builder(Notation::json);
    const uint32_t root = builder.rule_of(reader, {&*document});
    LAP_TRY(builder.finish_rules());
    builder.out.finish(root);
    if (builder.out.hopeless(root)) return contradiction(reader);
    return builder.out.take();
}

Result<Grammar> grammar_of_calls(const JsonValue& tools, bool held) {
    static const JsonValue kNoArguments{Kind::object, {}, {JsonValue{Kind::boolean, "false"}}, {"additionalProperties"}};
    static const JsonValue kAnyArguments{Kind::object};
    GrammarBuilder builder(Notation::call);
    std::deque<SchemaReader> readers;
    std::vector<uint32_t> calls, rules;
    std::set<std::string> names;
    const uint32_t done = builder.out.done();
    for (const JsonValue& tool : tools.items) {
        const JsonValue& function = *tool.find("function");
        const std::string name = function.string_at("name");
        const auto odd = [](unsigned char c) { return c <= ' ' || c == '{' || c == 0x7F; };
        if (name.empty() || std::any_of(name.begin(), name.end(), odd))
            return Error{Errc::bad_grammar, concat("the tool ", in_double_quotes(name), " cannot be called by that name"),
                         "names have no white space and no {"};
        if (held && !names.insert(name).second)
            return Error{Errc::bad_grammar, concat("two tools have the name ", in_double_quotes(name), ", and calls could not be held to either"),
                         "give each a name of its own"};
        const JsonValue* parameters = function.find("parameters");
        readers.emplace_back(!held ? kAnyArguments : parameters ? *parameters : kNoArguments, concat("the tool ", in_double_quotes(name)), true);
        rules.push_back(builder.rule_of(readers.back(), {&readers.back().root()}, true));
        calls.push_back(builder.out.literal(concat("call:", name), builder.out.call(rules.back(), done)));
    }
    const uint32_t root = builder.out.rule(0);
    builder.out.set_rule(root, builder.out.fork(std::move(calls)));
    LAP_TRY(builder.finish_rules());
    builder.out.finish(root);
    for (size_t i = 0; i < rules.size(); ++i)
        if (builder.out.hopeless(rules[i])) return contradiction(readers[i]);
    return builder.out.take();
}

}  // namespace lapidary::model
