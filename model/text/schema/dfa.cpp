// The subset construction, and products of a table with another or with a counter.
#include "model/text/schema/dfa.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace lapidary::model {
namespace {

using Subset = std::vector<uint32_t>;

struct SubsetHash {
    size_t operator()(const Subset& subset) const {
        size_t hash = 14695981039346656037u;
        for (const uint32_t state : subset) hash = (hash ^ state) * 1099511628211u;
        return hash;
    }
};

class SubsetConstruction {
  public:
    SubsetConstruction(const Nfa& nfa, bool marked) : nfa_(nfa), marked_(marked), seen_(nfa.states.size(), 0) {}

    std::optional<Dfa> run() {
        if (nfa_.start == Nfa::kNone) return Dfa{};
        Subset first = closure({nfa_.start});
        if (marked_) first = after(first, Nfa::kBegin);
        number_of(std::move(first));
        for (size_t i = 0; i < subsets_.size(); ++i) {
            const Subset subset = subsets_[i];
            dfa_.states.push_back({});
            dfa_.states[i].next.fill(Dfa::kDead);
            dfa_.states[i].accepts = accepts(subset);
            fill(i, subset);
            if (subsets_.size() > kMaxDfaStates || work_ > kMaxDfaWork) return {};
        }
        return trimmed(dfa_);
    }

  private:
    uint16_t number_of(Subset subset) {
        const auto [at, fresh] = numbers_.try_emplace(subset, static_cast<uint16_t>(subsets_.size()));
        if (fresh) subsets_.push_back(std::move(subset));
        return at->second;
    }

    // The states that read, or accept, which these lead to at once; sorted.
    Subset closure(Subset work) {
        ++round_;
        Subset out;
        while (!work.empty()) {
            const uint32_t state = work.back();
            work.pop_back();
            if (state == Nfa::kNone || seen_[state] == round_) continue;
            seen_[state] = round_;
            ++work_;
            const Nfa::State& s = nfa_.states[state];
            if (s.reads() || state == nfa_.accept) {
                out.push_back(state);
            } else {
                work.push_back(s.to);
                work.push_back(s.other);
            }
        }
        std::sort(out.begin(), out.end());
        return out;
    }

    Subset after(const Subset& subset, uint16_t symbol) {
        Subset to;
        for (const uint32_t state : subset) {
            const Nfa::State& s = nfa_.states[state];
            if (s.reads() && s.first <= symbol && symbol <= s.last) to.push_back(s.to);
        }
        return closure(std::move(to));
    }

    bool accepts(const Subset& subset) {
        const auto has = [&](const Subset& s) { return std::binary_search(s.begin(), s.end(), nfa_.accept); };
        return marked_ ? has(after(subset, Nfa::kEnd)) : has(subset);
    }

    // Bytes between two places where some state begins or ends to read lead to the same states.
    void fill(size_t i, const Subset& subset) {
        std::vector<uint16_t> cuts = {0, 256};
        for (const uint32_t state : subset) {
            const Nfa::State& s = nfa_.states[state];
            if (!s.reads() || s.first > 255) continue;
            cuts.push_back(s.first);
            cuts.push_back(static_cast<uint16_t>(s.last + 1));
        }
        std::sort(cuts.begin(), cuts.end());
        cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
        for (size_t c = 0; c + 1 < cuts.size() && cuts[c] < 256 && subsets_.size() <= kMaxDfaStates; ++c) {
            work_ += subset.size();
            Subset to = after(subset, cuts[c]);
            if (to.empty()) continue;
            const uint16_t number = number_of(std::move(to));
            for (uint16_t byte = cuts[c]; byte < cuts[c + 1]; ++byte) dfa_.states[i].next[byte] = number;
        }
    }

    const Nfa& nfa_;
    bool marked_;
    std::vector<uint32_t> seen_;  // by state, in which round
    uint32_t round_ = 0;
    size_t work_ = 0;
    std::vector<Subset> subsets_;
    std::unordered_map<Subset, uint16_t, SubsetHash> numbers_;
    Dfa dfa_;
};

// The product of a table and whatever else is counted along: `step` gives the other's state behind a byte (nothing: dead),
// `done` whether it accepts.
template <class Other, class Step, class Done>
std::optional<Dfa> product(const Dfa& a, const Other& start, const Step& step, const Done& done) {
    if (a.empty()) return Dfa{};
    std::map<std::pair<uint16_t, Other>, uint16_t> numbers;
    std::vector<std::pair<uint16_t, Other>> pairs;
    const auto number_of = [&](std::pair<uint16_t, Other> pair) {
        const auto [at, fresh] = numbers.try_emplace(pair, static_cast<uint16_t>(pairs.size()));
        if (fresh) pairs.push_back(pair);
        return at->second;
    };
    Dfa out;
    number_of({0, start});
    for (size_t i = 0; i < pairs.size(); ++i) {
        if (pairs.size() > kMaxDfaStates) return {};
        const auto [state, other] = pairs[i];
        Dfa::State made{{}, a.states[state].accepts && done(other)};
        made.next.fill(Dfa::kDead);
        std::pair<uint16_t, Other> last{Dfa::kDead, {}};  // bytes side by side often lead to the same
        uint16_t number = 0;
        for (size_t byte = 0; byte < 256; ++byte) {
            const uint16_t to = a.states[state].next[byte];
            if (to == Dfa::kDead) continue;
            const std::optional<Other> along = step(other, static_cast<uint8_t>(byte));
            if (!along) continue;
            if (last != std::pair{to, *along}) number = number_of(last = {to, *along});
            made.next[byte] = number;
        }
        out.states.push_back(made);
    }
    return trimmed(out);
}

}  // namespace

bool Dfa::matches(std::string_view text) const {
    if (empty()) return false;
    uint16_t state = 0;
    for (const char c : text) {
        state = states[state].next[static_cast<uint8_t>(c)];
        if (state == kDead) return false;
    }
    return states[state].accepts;
}

std::optional<Dfa> determinize(const Nfa& nfa, bool marked) { return SubsetConstruction(nfa, marked).run(); }

std::optional<Dfa> intersect(const Dfa& a, const Dfa& b) {
    if (b.empty()) return Dfa{};
    const auto step = [&](uint16_t state, uint8_t byte) {
        const uint16_t to = b.states[state].next[byte];
        return to == Dfa::kDead ? std::optional<uint16_t>() : to;
    };
    return product(a, uint16_t{0}, step, [&](uint16_t state) { return b.states[state].accepts; });
}

std::optional<Dfa> with_length(const Dfa& a, uint32_t least, uint32_t most) {
    const uint32_t counted = most == UINT32_MAX ? least : most;  // beyond which nothing changes
    const auto step = [&](uint32_t count, uint8_t byte) -> std::optional<uint32_t> {
        if ((byte & 0xC0) == 0x80) return count;
        if (count == most) return {};
        return std::min(count + 1, counted);
    };
    return product(a, uint32_t{0}, step, [&](uint32_t count) { return count >= least; });
}

std::optional<Dfa> with_divisor(const Dfa& a, uint32_t divisor) {
    const auto step = [&](uint32_t rest, uint8_t byte) -> std::optional<uint32_t> {
        if (byte < '0' || byte > '9') return rest;
        return (rest * 10 + byte - '0') % divisor;
    };
    return product(a, uint32_t{0}, step, [](uint32_t rest) { return rest == 0; });
}

Dfa trimmed(const Dfa& dfa, const std::function<bool(uint8_t)>& may) {
    const size_t count = dfa.states.size();
    std::vector<std::vector<uint16_t>> from(count);
    std::vector<bool> useful(count, false);
    std::vector<uint16_t> work;
    for (size_t i = 0; i < count; ++i) {
        for (size_t byte = 0; byte < 256; ++byte) {
            const uint16_t to = dfa.states[i].next[byte];
            if (to == Dfa::kDead || (may && !may(static_cast<uint8_t>(byte)))) continue;
            if (from[to].empty() || from[to].back() != i) from[to].push_back(static_cast<uint16_t>(i));
        }
        if (!dfa.states[i].accepts) continue;
        useful[i] = true;
        work.push_back(static_cast<uint16_t>(i));
    }
    while (!work.empty()) {
        const uint16_t state = work.back();
        work.pop_back();
        for (const uint16_t before : from[state])
            if (!useful[before]) {
                useful[before] = true;
                work.push_back(before);
            }
    }
    if (count == 0 || !useful[0]) return {};
    std::vector<uint16_t> numbers(count, Dfa::kDead);
    uint16_t next = 0;
    for (size_t i = 0; i < count; ++i)
        if (useful[i]) numbers[i] = next++;
    Dfa out;
    out.states.reserve(next);
    for (size_t i = 0; i < count; ++i) {
        if (!useful[i]) continue;
        Dfa::State state = dfa.states[i];
        for (size_t byte = 0; byte < 256; ++byte) {
            uint16_t& to = state.next[byte];
            to = to == Dfa::kDead || (may && !may(static_cast<uint8_t>(byte))) ? Dfa::kDead : numbers[to];
        }
        out.states.push_back(state);
    }
    return out;
}

}  // namespace lapidary::model
