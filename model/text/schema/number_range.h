// Numbers between two bounds, as the texts that spell them: without an exponent, of at most 15 digits, which every reader holds
// exactly, so that no bound is missed by rounding.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/schema/dfa.h"

namespace lapidary::model {

inline constexpr size_t kMaxDigits = 15;

// A number of a schema, exactly: 0 has no digits and no sign.
struct Decimal {
    bool negative = false;
    std::string whole, fraction;  // digits without zeros at the outer ends

    bool operator==(const Decimal&) const = default;
    bool is_integer() const { return fraction.empty(); }
};
// Nothing for what is no number, or has more than 400 digits.
std::optional<Decimal> decimal_of(std::string_view json_number);
bool less(const Decimal& a, const Decimal& b);

struct NumberRange {
    struct Bound {
        Decimal value = {};
        bool open = false;  // the value itself is outside
        bool there = false;
    };
    Bound low, high;
    bool integer = false;
    std::vector<uint32_t> divisors;  // of an integer

    void at_least(const Decimal& value, bool open);
    void at_most(const Decimal& value, bool open);
    bool holds(const Decimal& value) const;
    bool empty() const;  // its bounds leave nothing
};

// The texts of its numbers; empty where there are none. Where there is no bound, exponents may be written.
std::optional<Dfa> texts_of(const NumberRange& range);

}  // namespace lapidary::model
