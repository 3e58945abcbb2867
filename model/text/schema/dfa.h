// Sets of byte strings as tables: what strings with patterns, formats and lengths may hold, and how numbers may be spelled.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "model/text/schema/nfa.h"

namespace lapidary::model {

struct Dfa {
    static constexpr uint16_t kDead = UINT16_MAX;  // from here nothing is accepted any more
    struct State {
        std::array<uint16_t, 256> next;
        bool accepts = false;
    };
    std::vector<State> states;  // 0 is the start; none: no string is in the set

    bool empty() const { return states.empty(); }
    bool matches(std::string_view text) const;
};

// No table is larger, and none costs more to make than reading so many states of the other automaton.
inline constexpr size_t kMaxDfaStates = 32'768, kMaxDfaWork = size_t{1} << 22;

// `marked`: the texts stand between the two marks. Nothing where that needs a larger table.
std::optional<Dfa> determinize(const Nfa& nfa, bool marked);
std::optional<Dfa> intersect(const Dfa& a, const Dfa& b);
// Texts of so many characters, of a set that holds whole characters alone.
std::optional<Dfa> with_length(const Dfa& a, uint32_t least, uint32_t most);
// Numbers without fraction, of a set of such, that `divisor` divides.
std::optional<Dfa> with_divisor(const Dfa& a, uint32_t divisor);
// Only strings of bytes that `may` have, and no state without a way to the end.
Dfa trimmed(const Dfa& dfa, const std::function<bool(uint8_t)>& may = {});

}  // namespace lapidary::model
