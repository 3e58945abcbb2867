// One pass over the tokens finds the node of each; then nodes and tokens are put in order.
#include "model/text/schema/class_trie.h"

#include <algorithm>
#include <array>
#include <map>

namespace lapidary::model {
namespace {

constexpr uint32_t kAbsent = UINT32_MAX;

// Bytes by number of their class, none for those that lead nowhere; and a byte of every class.
struct ByteClasses {
    std::array<uint32_t, 256> of{};
    std::vector<uint8_t> member;
};

ByteClasses classes_of(const Dfa& table) {
    ByteClasses out;
    std::map<std::vector<uint16_t>, uint32_t> columns;
    std::vector<uint16_t> column(table.states.size());
    for (size_t byte = 0; byte < 256; ++byte) {
        for (size_t s = 0; s < column.size(); ++s) column[s] = table.states[s].next[byte];
        const bool dead = std::all_of(column.begin(), column.end(), [](uint16_t to) { return to == Dfa::kDead; });
        if (dead) {
            out.of[byte] = kAbsent;
            continue;
        }
        const auto [at, fresh] = columns.try_emplace(column, static_cast<uint32_t>(columns.size()));
        if (fresh) out.member.push_back(static_cast<uint8_t>(byte));
        out.of[byte] = at->second;
    }
    return out;
}

struct OpenNode {
    std::vector<std::pair<uint32_t, uint32_t>> children;  // class and node
    std::vector<int32_t> tokens;
};

}  // namespace

ClassTrie::ClassTrie(const Dfa& table, const TokenTrie::Tree& all) {
    const ByteClasses classes = classes_of(table);
    std::vector<OpenNode> open(1);
    std::array<uint32_t, 256> way{};  // nodes by depth
    for (uint32_t i = 0; i < all.nodes.size();) {
        const TokenTrie::Node& node = all.nodes[i];
        const uint32_t c = classes.of[node.byte];
        if (c == kAbsent) {
            i = node.end;
            continue;
        }
        const uint32_t above = way[node.depth - 1u];
        auto& children = open[above].children;
        const auto child = std::find_if(children.begin(), children.end(), [&](const auto& pair) { return pair.first == c; });
        uint32_t here = child == children.end() ? static_cast<uint32_t>(open.size()) : child->second;
        if (child == children.end()) {
            children.emplace_back(c, here);
            open.emplace_back();
        }
        way[node.depth] = here;
        open[here].tokens.insert(open[here].tokens.end(), all.tokens.begin() + node.first, all.tokens.begin() + node.own);
        ++i;
    }
    struct Visit {
        uint32_t node, number;  // of `open`; of nodes_, kAbsent: not entered yet
        uint8_t byte, depth;
    };
    std::vector<Visit> work;
    const auto enter = [&](uint32_t node, uint8_t depth) {
        const auto& children = open[node].children;
        for (size_t i = children.size(); i-- > 0;) work.push_back({children[i].second, kAbsent, classes.member[children[i].first], depth});
    };
    enter(0, 1);
    while (!work.empty()) {
        Visit& visit = work.back();
        if (visit.number != kAbsent) {
            nodes_[visit.number].end = static_cast<uint32_t>(nodes_.size());
            work.pop_back();
            continue;
        }
        visit.number = static_cast<uint32_t>(nodes_.size());
        const Visit now = visit;
        const auto first = static_cast<uint32_t>(tokens_.size());
        tokens_.insert(tokens_.end(), open[now.node].tokens.begin(), open[now.node].tokens.end());
        nodes_.push_back({0, first, static_cast<uint32_t>(tokens_.size()), now.byte, now.depth});
        enter(now.node, static_cast<uint8_t>(now.depth + 1));
    }
}

void ClassTrie::add(const Dfa& table, uint16_t state, std::span<uint32_t> bits) const {
    std::array<uint16_t, 256> states{};  // by depth
    states[0] = state;
    for (uint32_t i = 0; i < nodes_.size();) {
        const Node& node = nodes_[i];
        const uint16_t to = table.states[states[node.depth - 1u]].next[node.byte];
        if (to == Dfa::kDead) {
            i = node.end;
            continue;
        }
        states[node.depth] = to;
        for (uint32_t t = node.first; t < node.own; ++t) set_bit(bits, tokens_[t]);
        ++i;
    }
}

}  // namespace lapidary::model
