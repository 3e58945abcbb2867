// What a JSON Schema asks of a value, keyword by keyword, with references, allOf and anyOf resolved: a list of alternatives, each of
// which says of every type what it may look like. No more than JSON trees and plain data; grammar_builder.h makes texts of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lapidary/result.h"
#include "model/text/json_value.h"
#include "model/text/schema/dfa.h"
#include "model/text/schema/number_range.h"

namespace lapidary::model {

// Schemas that a value must meet, all of them. None: any value will do.
using Goal = std::vector<const JsonValue*>;

// Of one value; each is followed by itself until the text tells them apart.
inline constexpr size_t kMostAlternatives = 256;
inline constexpr size_t kMaxMembers = 256, kMaxValues = 100'000;  // of an object, of an enum

struct Facts {
    enum Type : uint8_t { null = 1, boolean = 2, number = 4, string = 8, list = 16, object = 32, every = 63 };
    struct Items {  // of one schema
        std::vector<const JsonValue*> first;
        const JsonValue* rest = nullptr;  // of what comes behind them; null: anything
        bool operator==(const Items&) const = default;
    };
    struct Members {
        const JsonValue* properties = nullptr;
        const JsonValue* others = nullptr;  // additionalProperties
        bool operator==(const Members&) const = default;
    };
    struct Value {
        uint32_t id;  // SchemaReader::id_of
        const JsonValue* value;
    };
    using Values = std::vector<Value>;  // sorted by id

    uint8_t types = every;
    uint8_t meant = 0;  // where all types may be: those that the keywords speak of
    std::shared_ptr<const Values> values;  // enum and const; null: there is neither
    NumberRange numbers;
    std::vector<std::string> patterns;
    uint32_t min_length = 0, max_length = UINT32_MAX;
    std::vector<Items> items;
    uint32_t min_items = 0, max_items = UINT32_MAX;
    std::vector<Members> members;
    std::vector<std::string> required;

    Goal item(size_t index) const;
    size_t first_items() const;  // behind so many all are alike
    Goal member(std::string_view name) const;
    Goal other_members() const;
};

// Both at once. Whether any type is left.
bool meet(Facts& into, const Facts& other);
uint32_t characters_of(std::string_view text);

// The schemas of one document. Everything it returns points into the document.
class SchemaReader {
  public:
    // `name` is the subject of errors. `tools`: types in capitals are read too, and what OpenAPI adds is passed over.
    SchemaReader(const JsonValue& root, std::string name, bool tools = false) : root_(root), name_(std::move(name)), tools_(tools) {}

    const JsonValue& root() const { return root_; }
    // The alternatives, as long as the reader lives; none: no value meets the goal. What is not served is an error:
    // bad_grammar, with its JSON pointer.
    Result<const std::vector<Facts>*> alternatives(const Goal& goal);
    // Whether a value of the document meets them.
    Result<bool> admits(const Facts& facts, const JsonValue& value);
    Result<const Dfa*> texts_of_pattern(const std::string& pattern, const JsonValue* place);
    // The schema itself, or the one that it does nothing but refer to.
    const JsonValue* settled(const JsonValue* schema) const;
    // Of a value of the document: the same for values that are equal, as 1 and 1.0 are.
    uint32_t id_of(const JsonValue& value);

    Error refused(const JsonValue* place, std::string_view keyword, std::string_view what, std::string hint = {}) const;

  private:
    struct Known {
        bool done = false;
        std::vector<Facts> alternatives;
    };
    struct Draft;  // a schema that is being read

    Result<std::vector<Facts>> read(const JsonValue* schema, int depth);
    Result<void> read_keyword(const JsonValue& schema, size_t index, Draft& draft, int depth);
    Result<bool> read_number_keyword(const JsonValue& schema, const std::string& keyword, const JsonValue& value, Facts& facts);
    Result<bool> read_size_keyword(const JsonValue& schema, const std::string& keyword, const JsonValue& value, Facts& facts);
    Result<void> read_types(const JsonValue& schema, const JsonValue& value, Facts& facts);
    Result<void> read_exclusive(const JsonValue& value, Draft& draft, int depth);
    Result<const JsonValue*> target_of(const JsonValue& schema, const std::string& reference) const;
    Result<bool> exclude(const Facts& a, const Facts& b, int depth);
    Result<bool> goals_exclude(const Goal& a, const Goal& b, int depth);
    Result<bool> goal_admits(const Goal& goal, const JsonValue& value);
    Result<std::vector<Facts>> met(const std::vector<Facts>& some, const std::vector<Facts>& others, const JsonValue* place) const;
    const JsonValue* member_of(const JsonValue& object, std::string_view name) const;
    std::string pointer_of(const JsonValue* place) const;

    const JsonValue& root_;
    std::string name_;
    bool tools_;
    std::map<const JsonValue*, Known> known_;
    std::map<Goal, std::vector<Facts>> goals_;
    std::unordered_map<const JsonValue*, uint32_t> ids_;
    std::unordered_map<std::string, uint32_t> spellings_;  // their ids
    mutable std::unordered_map<const JsonValue*, std::unordered_map<std::string_view, const JsonValue*>> large_;  // members of objects
    std::map<std::string, Dfa> patterns_;
    size_t proofs_ = 0;  // pairs of facts that were compared, and values with facts
};

}  // namespace lapidary::model
