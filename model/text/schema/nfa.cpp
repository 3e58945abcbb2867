// Ranges of characters to ranges of bytes.
#include "model/text/schema/nfa.h"

#include <algorithm>
#include <array>

namespace lapidary::model {
namespace {

constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

struct Encoded {
    std::array<uint8_t, 4> bytes{};
    size_t length = 0;
};

Encoded encoded(char32_t c) {
    const auto low = [c](int shift) { return static_cast<uint8_t>(0x80 | (c >> shift & 0x3F)); };
    if (c < 0x80) return {{static_cast<uint8_t>(c)}, 1};
    if (c < 0x800) return {{static_cast<uint8_t>(0xC0 | c >> 6), low(0)}, 2};
    if (c < 0x10000) return {{static_cast<uint8_t>(0xE0 | c >> 12), low(6), low(0)}, 3};
    return {{static_cast<uint8_t>(0xF0 | c >> 18), low(12), low(6), low(0)}, 4};
}

// Cuts a range until every byte of its characters runs through a range of its own, and adds each piece as a chain.
void add_chains(Nfa& nfa, char32_t first, char32_t last, uint32_t next, std::vector<uint32_t>& entries) {
    for (const char32_t longest : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}})
        if (first <= longest && last > longest) {
            add_chains(nfa, first, longest, next, entries);
            return add_chains(nfa, longest + 1, last, next, entries);
        }
    const size_t length = encoded(first).length;
    for (size_t i = 1; i < length; ++i) {
        const char32_t low = (char32_t{1} << (6 * i)) - 1;  // what the last i bytes hold
        if ((first & ~low) == (last & ~low)) continue;
        if ((first & low) != 0) {
            add_chains(nfa, first, first | low, next, entries);
            return add_chains(nfa, (first | low) + 1, last, next, entries);
        }
        if ((last & low) != low) {
            add_chains(nfa, first, (last & ~low) - 1, next, entries);
            return add_chains(nfa, last & ~low, last, next, entries);
        }
    }
    const Encoded from = encoded(first), to = encoded(last);
    uint32_t state = next;
    for (size_t i = length; i-- > 0;) state = nfa.byte(from.bytes[i], to.bytes[i], state);
    entries.push_back(state);
}

}  // namespace

CharRanges normal(CharRanges ranges) {
    CharRanges whole;
    for (const auto& [first, last] : ranges) {
        if (first < kFirstSurrogate) whole.emplace_back(first, std::min<char32_t>(last, kFirstSurrogate - 1));
        if (last > kLastSurrogate) whole.emplace_back(std::max<char32_t>(first, kLastSurrogate + 1), std::min(last, kLastChar));
    }
    std::sort(whole.begin(), whole.end());
    CharRanges out;
    for (const auto& range : whole) {
        if (!out.empty() && range.first <= out.back().second + 1)
            out.back().second = std::max(out.back().second, range.second);
        else
            out.push_back(range);
    }
    return out;
}

CharRanges complement(const CharRanges& ranges) {
    CharRanges out;
    char32_t next = 0;
    for (const auto& [first, last] : ranges) {
        if (first > next) out.emplace_back(next, first - 1);
        next = last + 1;
    }
    if (next <= kLastChar) out.emplace_back(next, kLastChar);
    return normal(std::move(out));
}

uint32_t Nfa::character(const CharRanges& ranges, uint32_t next) {
    std::vector<uint32_t> entries;
    for (const auto& [first, last] : ranges) add_chains(*this, first, last, next, entries);
    uint32_t entry = kNone;
    for (const uint32_t one : entries) entry = entry == kNone ? one : split(one, entry);
    return entry;
}

}  // namespace lapidary::model
