// Compares digit by digit: how many digits stand before the point is chosen first, then every digit keeps or leaves the bounds.
#include "model/text/schema/number_range.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "model/text/schema/regex.h"

namespace lapidary::model {
namespace {

using Bound = NumberRange::Bound;

// Digits as if both were as long.
int compare_size(const Decimal& a, const Decimal& b) {
    if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size() ? -1 : 1;
    if (const int order = a.whole.compare(b.whole); order != 0) return order;
    return a.fraction.compare(b.fraction);  // without trailing zeros the shorter one of equal digits is the less
}

// Texts of numbers from 0 up, between bounds that are none below 0.
class MagnitudeTexts {
  public:
    MagnitudeTexts(Nfa& nfa, const Bound& low, const Bound& high, bool integer, uint32_t next)
        : nfa_(nfa), low_(low), high_(high), integer_(integer), next_(next) {}

    uint32_t entry() {
        uint32_t entry = Nfa::kNone;
        for (size_t length = 1; length <= kMaxDigits; ++length) {
            const size_t low = low_.there ? digits(low_).size() : 0, high = high_.there ? digits(high_).size() : kMaxDigits + 1;
            if (length < low || length > high) continue;
            entry = either(state({length, 0, length > low, length < high}), entry);
        }
        return entry;
    }

  private:
    // So many digits stand before the point, so many digits are read; whether the number is above and below the bounds by now.
    struct Place {
        size_t length, at;
        bool above, below;
        auto operator<=>(const Place&) const = default;
    };

    static std::string digits(const Bound& bound) { return bound.value.whole.empty() ? "0" : bound.value.whole; }
    static char digit(const Bound& bound, const Place& place) {
        const std::string whole = digits(bound), &fraction = bound.value.fraction;
        if (place.at < place.length) return whole[place.at];
        const size_t at = place.at - place.length;
        return at < fraction.size() ? fraction[at] : '0';
    }

    uint32_t either(uint32_t a, uint32_t b) {
        if (a == Nfa::kNone || b == Nfa::kNone) return a == Nfa::kNone ? b : a;
        return nfa_.split(a, b);
    }

    bool may_end(const Place& place) const {
        const size_t read = place.at - place.length;
        const auto reached = [&](const Bound& bound) { return read >= bound.value.fraction.size(); };
        if (!place.above && low_.there && (!reached(low_) || low_.open)) return false;
        return place.below || !high_.there || !reached(high_) || !high_.open;
    }

    uint32_t state(const Place& place) {
        if (const auto known = known_.find(place); known != known_.end()) return known->second;
        uint32_t out = Nfa::kNone;
        if (place.at < place.length) {
            out = digit_state(place);
        } else {
            if (may_end(place)) out = next_;
            if (place.at == place.length && !integer_ && place.at < kMaxDigits) {
                const uint32_t fraction = digit_state(place);
                if (fraction != Nfa::kNone) out = either(nfa_.byte('.', '.', fraction), out);
            } else if (place.at > place.length && place.at < kMaxDigits) {
                out = either(digit_state(place), out);
            }
        }
        return known_[place] = out;
    }

    uint32_t digit_state(const Place& place) {
        uint32_t out = Nfa::kNone;
        for (char c = '0'; c <= '9'; ++c) {
            if (c == '0' && place.at == 0 && place.length > 1) continue;
            Place to = place;
            ++to.at;
            if (!place.above && low_.there) {
                const char bound = digit(low_, place);
                if (c < bound) continue;
                to.above = c > bound;
            }
            if (!place.below && high_.there) {
                const char bound = digit(high_, place);
                if (c > bound) continue;
                to.below = c < bound;
            }
            const uint32_t target = state(to);
            if (target == Nfa::kNone) continue;
            const auto byte = static_cast<uint16_t>(c);
            out = either(nfa_.byte(byte, byte, target), out);
        }
        return out;
    }

    Nfa& nfa_;
    Bound low_, high_;
    bool integer_;
    uint32_t next_;
    std::map<Place, uint32_t> known_;
};

Bound without_sign(Bound bound) {
    bound.value.negative = false;
    return bound;
}

Nfa bounded_texts(const NumberRange& range) {
    Nfa nfa;
    nfa.accept = nfa.add({});
    const bool low_below = !range.low.there || range.low.value.negative, high_below = range.high.there && range.high.value.negative;
    uint32_t up = Nfa::kNone, down = Nfa::kNone;
    if (!high_below)
        up = MagnitudeTexts(nfa, low_below ? Bound{} : range.low, range.high, range.integer, nfa.accept).entry();
    if (low_below) {  // -0 is written 0
        const Bound least = high_below ? without_sign(range.high) : Bound{{}, true, true};
        down = MagnitudeTexts(nfa, least, without_sign(range.low), range.integer, nfa.accept).entry();
        if (down != Nfa::kNone) down = nfa.byte('-', '-', down);
    }
    nfa.start = up == Nfa::kNone ? down : down == Nfa::kNone ? up : nfa.split(up, down);
    return nfa;
}

bool beyond_digits(const Bound& bound) { return bound.value.whole.size() > kMaxDigits; }

}  // namespace

std::optional<Decimal> decimal_of(std::string_view text) {
    Decimal out;
    if (text.starts_with('-')) {
        out.negative = true;
        text.remove_prefix(1);
    }
    int64_t point = 0;  // how many digits stand in front of it
    std::string digits;
    bool fraction = false;
    size_t at = 0;
    for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
        if (text[at] == '.') {
            fraction = true;
            continue;
        }
        if (text[at] < '0' || text[at] > '9') return {};
        digits += text[at];
        point += fraction ? 0 : 1;
    }
    if (at < text.size()) {
        std::string_view exponent = text.substr(at + 1);
        if (exponent.starts_with('+')) exponent.remove_prefix(1);
        int value = 0;
        const auto [end, error] = std::from_chars(exponent.data(), exponent.data() + exponent.size(), value);
        if (error != std::errc() || end != exponent.data() + exponent.size()) return {};
        point += value;
    }
    constexpr int64_t kLongest = 400;
    if (digits.empty() || point > kLongest || point < -kLongest || digits.size() > kLongest) return {};
    if (point < 0) digits.insert(0, static_cast<size_t>(-point), '0');
    const auto whole = static_cast<size_t>(std::max<int64_t>(point, 0));
    if (digits.size() < whole) digits.append(whole - digits.size(), '0');
    out.whole = digits.substr(0, whole);
    out.fraction = digits.substr(whole);
    out.whole.erase(0, std::min(out.whole.find_first_not_of('0'), out.whole.size()));
    out.fraction.erase(out.fraction.find_last_not_of('0') + 1);
    if (out.whole.empty() && out.fraction.empty()) out.negative = false;
    return out;
}

bool less(const Decimal& a, const Decimal& b) {
    if (a.negative != b.negative) return a.negative;
    const int order = compare_size(a, b);
    return a.negative ? order > 0 : order < 0;
}

void NumberRange::at_least(const Decimal& value, bool open) {
    if (!low.there || less(low.value, value))
        low = {value, open, true};
    else if (low.value == value)
        low.open = low.open || open;
}

void NumberRange::at_most(const Decimal& value, bool open) {
    if (!high.there || less(value, high.value))
        high = {value, open, true};
    else if (high.value == value)
        high.open = high.open || open;
}

bool NumberRange::holds(const Decimal& value) const {
    if (low.there && (less(value, low.value) || (low.open && value == low.value))) return false;
    if (high.there && (less(high.value, value) || (high.open && value == high.value))) return false;
    if (integer && !value.is_integer()) return false;
    return std::all_of(divisors.begin(), divisors.end(), [&](uint32_t divisor) {
        uint64_t rest = 0;
        for (const char c : value.whole) rest = (rest * 10 + static_cast<uint64_t>(c - '0')) % divisor;
        return rest == 0 && value.is_integer();
    });
}

bool NumberRange::empty() const {
    if (!low.there || !high.there) return false;
    return less(high.value, low.value) || (low.value == high.value && (low.open || high.open));
}

std::optional<Dfa> texts_of(const NumberRange& asked) {
    NumberRange range = asked;
    if (range.empty()) return Dfa{};
    // Bounds that no number of so many digits reaches.
    if (range.low.there && beyond_digits(range.low)) {
        if (!range.low.value.negative) return Dfa{};
        range.low.there = false;
    }
    if (range.high.there && beyond_digits(range.high)) {
        if (range.high.value.negative) return Dfa{};
        range.high.there = false;
    }
    std::optional<Dfa> texts;
    if (range.low.there || range.high.there || range.integer) {
        texts = determinize(bounded_texts(range), false);
    } else {
        const auto nfa = nfa_of_pattern("^-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?$");
        texts = determinize(*nfa, true);
    }
    for (size_t i = 0; texts && i < range.divisors.size(); ++i) texts = with_divisor(*texts, range.divisors[i]);
    return texts;
}

}  // namespace lapidary::model
