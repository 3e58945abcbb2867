// Texts that a schema allows, as rules that call each other: a recursive transition network over bytes. Plain data, made by
// grammar_builder.h and run by matcher.h.
#pragma once

#include <cstdint>
#include <vector>

#include "model/text/schema/dfa.h"

namespace lapidary::model {

// Values of the alphabet above the bytes: the token `<|"|>`, which stands around the strings of calls.
inline constexpr uint16_t kQuoteSymbol = 256;

// The inside of a string, from behind the opening quote to the closing one.
struct TextRule {
    int32_t table = -1;                   // of Grammar::tables; -1: any characters
    uint32_t least = 0, most = UINT32_MAX;  // characters, where there is no table
    uint16_t close = '"';
    bool json = true;                     // with JSON's escapes, and without what must be escaped; else as it is
    bool key = false;                     // of an object: without escapes, and none that the object has already
    std::vector<uint64_t> taken = {};     // hashes of the keys that are declared, sorted
};
inline constexpr uint64_t kFirstKeyHash = 14695981039346656037u;  // FNV-1a (Fowler, Noll, Vo)
inline uint64_t key_hash(uint64_t hash, uint8_t byte) { return (hash ^ byte) * 1099511628211u; }

struct Grammar {
    // bytes: by one of the edges [a, b). fork: to any of the targets [a, b), at once. call: rule a, and then to b. gap: white
    // space or none, then to a. text: of texts[a], then to b. done: the rule is through.
    enum class Op : uint8_t { bytes, fork, call, gap, text, done };
    struct State {
        Op op = Op::done;
        uint8_t levels = 0;  // of values inside each other that the way to the end takes at least; kHopeless: there is none
        uint32_t a = 0, b = 0;
    };
    struct Edge {
        uint16_t first, last;
        uint32_t next;
    };
    struct Rule {
        uint32_t start = 0;
        uint8_t levels = 1;  // that it adds itself: 1 for a value
    };
    static constexpr uint8_t kHopeless = UINT8_MAX;

    std::vector<State> states;
    std::vector<Edge> edges;
    std::vector<uint32_t> targets;
    std::vector<Rule> rules;
    std::vector<TextRule> texts;
    std::vector<Dfa> tables;
    uint32_t root = 0;  // a rule
};

// Values stand at most so deep inside each other, as our own readers of JSON want it.
inline constexpr uint8_t kDeepestValues = 100;
// White space between values: nothing, a space, or a new line and so many spaces at most.
inline constexpr uint32_t kMostIndent = 24;

}  // namespace lapidary::model
