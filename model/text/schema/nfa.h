// A nondeterministic automaton over the bytes of a text and two marks, one in front of it and one behind it, put together from
// its end: every part is made with the state that follows it. dfa.h turns it into one that can be run.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace lapidary::model {

// Sorted ranges of code points that neither meet nor overlap.
using CharRanges = std::vector<std::pair<char32_t, char32_t>>;
inline constexpr char32_t kLastChar = 0x10FFFF;

CharRanges normal(CharRanges ranges);  // any ranges, put into that form; surrogates, which no text holds, left out
CharRanges complement(const CharRanges& ranges);

struct Nfa {
    static constexpr uint32_t kNone = UINT32_MAX;
    static constexpr uint16_t kBegin = 256, kEnd = 257;  // the marks
    struct State {
        uint16_t first = 1, last = 0;      // on these bytes or marks to `to`; where there are none, at once to both
        uint32_t to = kNone, other = kNone;
        bool reads() const { return first <= last; }
    };
    std::vector<State> states;
    uint32_t start = kNone, accept = kNone;

    uint32_t add(const State& state) {
        states.push_back(state);
        return static_cast<uint32_t>(states.size() - 1);
    }
    uint32_t byte(uint16_t first, uint16_t last, uint32_t next) { return add({first, last, next, kNone}); }
    uint32_t split(uint32_t a, uint32_t b) { return add({1, 0, a, b}); }
    // One character of the class, in UTF-8; kNone for a class without characters.
    uint32_t character(const CharRanges& ranges, uint32_t next);
};

}  // namespace lapidary::model
