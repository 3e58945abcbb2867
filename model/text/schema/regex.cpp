// A descent over the pattern to a tree, because counted repetitions copy what they repeat, and from its end to an automaton.
#include "model/text/schema/regex.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "base/utf8.h"

namespace lapidary::model {
namespace {

constexpr size_t kMaxNfaStates = 100'000, kMaxSteps = 1'000'000;
constexpr int kDeepestGroup = 100;
constexpr uint32_t kMostRepeats = 10'000, kNoLimit = UINT32_MAX;

struct RegexNode {
    enum class Kind { characters, sequence, choice, repeat, begin, end } kind = Kind::sequence;
    CharRanges characters = {};
    std::vector<RegexNode> parts = {};
    uint32_t least = 0, most = 0;  // of a repeat
};

// A class as it may at least and at most be meant.
struct CharSet {
    CharRanges surely, perhaps;
};

const CharRanges kDigits = {{'0', '9'}}, kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, kAscii = {{0, 0x7F}},
                 kNotAscii = {{0x80, kLastChar}},
                 kSpaces = {{'\t', '\r'}, {' ', ' '}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                            {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}},
                 kAlsoSpaces = {{0x1C, 0x1F}, {0x85, 0x85}, {0xFEFF, 0xFEFF}},
                 kLineEnds = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

CharRanges joined(CharRanges a, const CharRanges& b) {
    a.insert(a.end(), b.begin(), b.end());
    return normal(std::move(a));
}
CharRanges common(const CharRanges& a, const CharRanges& b) { return complement(joined(complement(a), complement(b))); }

CharSet class_of_letter(char letter) {
    switch (letter) {
        case 'd': return {kDigits, joined(kDigits, kNotAscii)};
        case 'D': return {common(complement(kDigits), kAscii), complement(kDigits)};
        case 'w': return {kWord, joined(kWord, kNotAscii)};
        case 'W': return {common(complement(kWord), kAscii), complement(kWord)};
        case 's': return {normal(kSpaces), joined(kSpaces, kAlsoSpaces)};
        default: return {complement(joined(kSpaces, kAlsoSpaces)), complement(normal(kSpaces))};
    }
}

class PatternParser {
  public:
    explicit PatternParser(std::string_view text) : text_(text) {}

    Result<RegexNode> parse() {
        LAP_ASSIGN(RegexNode whole, choice(0));
        if (at_ < text_.size()) return refused("a ) without (");
        return whole;
    }

  private:
    Error refused(std::string what) const {
        return {Errc::bad_grammar, concat(what, " at byte ", at_, " of the pattern ", in_double_quotes(text_)),
                "classes, groups, |, anchors and the quantifiers ? * + {m,n} are served"};
    }
    bool there(char c) const { return at_ < text_.size() && text_[at_] == c; }
    bool take(char c) {
        if (!there(c)) return false;
        ++at_;
        return true;
    }
    bool take(std::string_view word) {
        if (!text_.substr(at_).starts_with(word)) return false;
        at_ += word.size();
        return true;
    }

    Result<RegexNode> choice(int depth) {
        if (depth > kDeepestGroup) return refused(concat("more than ", kDeepestGroup, " groups inside each other"));
        RegexNode out{RegexNode::Kind::choice};
        do {
            LAP_ASSIGN(RegexNode one, sequence(depth));
            out.parts.push_back(std::move(one));
        } while (take('|'));
        return out;
    }

    Result<RegexNode> sequence(int depth) {
        RegexNode out;
        while (at_ < text_.size() && !there('|') && !there(')')) {
            LAP_ASSIGN(RegexNode one, atom(depth));
            LAP_ASSIGN(RegexNode whole, quantified(std::move(one)));
            out.parts.push_back(std::move(whole));
        }
        return out;
    }

    Result<RegexNode> atom(int depth) {
        if (take('^')) return RegexNode{RegexNode::Kind::begin};
        if (take('$')) return RegexNode{RegexNode::Kind::end};
        if (take('(')) return group(depth);
        if (take('.')) return of(complement(kLineEnds));
        if (take('[')) return bracket();
        if (there('*') || there('+') || there('?')) return refused("a quantifier with nothing in front");
        if (take('\\')) {
            LAP_ASSIGN(const CharSet set, escape(false));
            return of(set.surely);
        }
        LAP_ASSIGN(const char32_t c, character());
        return of({{c, c}});
    }

    static RegexNode of(CharRanges ranges) { return {RegexNode::Kind::characters, normal(std::move(ranges))}; }

    Result<RegexNode> group(int depth) {
        if (take("?:")) {
        } else if (there('?')) {
            const bool named = text_.substr(at_).starts_with("?<") && !text_.substr(at_).starts_with("?<=") &&
                               !text_.substr(at_).starts_with("?<!");
            const size_t end = text_.find('>', at_);
            if (!named || end == std::string_view::npos) return refused("a look around, or another group that begins with (?, is not served:");
            at_ = end + 1;
        }
        LAP_ASSIGN(RegexNode inside, choice(depth + 1));
        if (!take(')')) return refused("a ( without )");
        return inside;
    }

    Result<char32_t> character() {
        const Utf8Head head = utf8_head(text_.substr(at_));
        if (head.state != Utf8State::complete) return refused("no UTF-8");
        at_ += head.length_bytes;
        return head.code_point;
    }

    // So many hexadecimal digits.
    std::optional<char32_t> hex(size_t digits) {
        if (text_.size() - at_ < digits) return {};
        char32_t value = 0;
        for (size_t i = 0; i < digits; ++i) {
            const char c = text_[at_ + i];
            const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
            if (digit < 0) return {};
            value = value * 16 + static_cast<char32_t>(digit);
        }
        at_ += digits;
        return value;
    }

    // Behind a backslash.
    Result<CharSet> escape(bool in_class) {
        if (at_ == text_.size()) return refused("a lone backslash");
        const char c = text_[at_];
        const auto one = [](char32_t code) { return CharSet{{{code, code}}, {{code, code}}}; };
        if (std::string_view("dDwWsS").find(c) != std::string_view::npos) {
            ++at_;
            return class_of_letter(c);
        }
        constexpr std::string_view kLetters = "tnvfr", kMeaning = "\t\n\v\f\r";
        if (const size_t at = kLetters.find(c); at != std::string_view::npos) {
            ++at_;
            return one(static_cast<char32_t>(kMeaning[at]));
        }
        if (c == 'x' || c == 'u') {
            ++at_;
            auto code = hex(c == 'x' ? 2 : 4);
            if (code && *code >= 0xD800 && *code < 0xDC00 && take("\\u")) {
                const auto low = hex(4);
                code = low && *low >= 0xDC00 && *low < 0xE000 ? std::optional(0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00))
                                                              : std::nullopt;
            }
            if (!code || (*code >= 0xD800 && *code < 0xE000)) return refused("an escape without its digits, or half a surrogate pair,");
            return one(*code);
        }
        const bool plain = static_cast<unsigned char>(c) >= 0x80 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
        if (!plain || (in_class && c == 'b')) return refused(concat("\\", std::string(1, c), " is not served:"));
        LAP_ASSIGN(const char32_t itself, character());
        return one(itself);
    }

    Result<CharSet> class_item() {
        if (take('\\')) return escape(true);
        LAP_ASSIGN(const char32_t c, character());
        return CharSet{{{c, c}}, {{c, c}}};
    }

    Result<RegexNode> bracket() {
        const bool negated = take('^');
        CharRanges surely, perhaps;
        while (!there(']')) {
            if (at_ == text_.size()) return refused("a [ without ]");
            LAP_ASSIGN(CharSet item, class_item());
            const bool range = there('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
            if (range) {
                ++at_;
                LAP_ASSIGN(const CharSet last, class_item());
                const auto single = [](const CharSet& set) { return set.surely.size() == 1 && set.surely[0].first == set.surely[0].second; };
                if (!single(item) || !single(last) || item.surely[0].first > last.surely[0].first)
                    return refused("a range of a class that has no order");
                item.surely[0].second = item.perhaps[0].second = last.surely[0].first;
            }
            surely.insert(surely.end(), item.surely.begin(), item.surely.end());
            perhaps.insert(perhaps.end(), item.perhaps.begin(), item.perhaps.end());
        }
        ++at_;
        return of(negated ? complement(normal(std::move(perhaps))) : normal(std::move(surely)));
    }

    std::optional<uint32_t> number() {
        const size_t begin = at_;
        uint64_t value = 0;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9')
            value = std::min<uint64_t>(value * 10 + static_cast<uint64_t>(text_[at_++] - '0'), UINT32_MAX);
        return at_ > begin ? std::optional(static_cast<uint32_t>(value)) : std::nullopt;
    }

    // {m}, {m,} or {m,n}; any other brace is a letter.
    bool counted(uint32_t& least, uint32_t& most) {
        const size_t begin = at_;
        if (take('{')) {
            const auto low = number();
            if (low && take('}')) {
                least = most = *low;
                return true;
            }
            if (low && take(',')) {
                least = *low;
                most = number().value_or(kNoLimit);
                if (take('}')) return true;
            }
        }
        at_ = begin;
        return false;
    }

    Result<RegexNode> quantified(RegexNode atom) {
        uint32_t least = 0, most = kNoLimit;
        if (take('?')) {
            most = 1;
        } else if (take('+')) {
            least = 1;
        } else if (!take('*') && !counted(least, most)) {
            return atom;
        }
        take('?');  // as few as possible: the same strings
        if (atom.kind == RegexNode::Kind::begin || atom.kind == RegexNode::Kind::end) return refused("a repeated anchor is not served:");
        if (least > most || least > kMostRepeats || (most != kNoLimit && most > kMostRepeats))
            return refused(concat("a quantifier without order or above ", kMostRepeats));
        return RegexNode{RegexNode::Kind::repeat, {}, {std::move(atom)}, least, most};
    }

    std::string_view text_;
    size_t at_ = 0;
};

class PatternCompiler {
  public:
    bool too_large() const { return nfa.states.size() > kMaxNfaStates || steps_ > kMaxSteps; }

    // The state that reads the node and goes on to `next`; kNone: nothing matches it.
    uint32_t state_of(const RegexNode& node, uint32_t next) {
        using Kind = RegexNode::Kind;
        if (++steps_; next == Nfa::kNone || too_large()) return Nfa::kNone;
        switch (node.kind) {
            case Kind::begin: return nfa.byte(Nfa::kBegin, Nfa::kBegin, next);
            case Kind::end: return nfa.byte(Nfa::kEnd, Nfa::kEnd, next);
            case Kind::characters: return nfa.character(node.characters, next);
            case Kind::sequence:
                for (size_t i = node.parts.size(); i-- > 0;) next = state_of(node.parts[i], next);
                return next;
            case Kind::choice: {
                uint32_t entry = Nfa::kNone;
                for (const RegexNode& part : node.parts) entry = either(state_of(part, next), entry);
                return entry;
            }
            case Kind::repeat: break;
        }
        const RegexNode& part = node.parts[0];
        if (node.most == kNoLimit) {
            next = loop([&](uint32_t again) { return state_of(part, again); }, next);
        } else {
            const uint32_t end = next;
            for (uint32_t i = node.least; i < node.most; ++i) next = either(state_of(part, next), end);
        }
        for (uint32_t i = 0; i < node.least; ++i) next = state_of(part, next);
        return next;
    }

    uint32_t either(uint32_t a, uint32_t b) {
        if (a == Nfa::kNone || b == Nfa::kNone) return a == Nfa::kNone ? b : a;
        return nfa.split(a, b);
    }
    template <class Body>
    uint32_t loop(const Body& body, uint32_t next) {
        const uint32_t again = nfa.split(Nfa::kNone, next);
        const uint32_t entry = body(again);
        nfa.states[again].to = entry;
        return again;
    }

    Nfa nfa;

  private:
    size_t steps_ = 0;  // of what may add no state, as empty groups
};

}  // namespace

Result<Nfa> nfa_of_pattern(std::string_view pattern) {
    LAP_ASSIGN(const RegexNode tree, PatternParser(pattern).parse());
    PatternCompiler c;
    const CharRanges any = complement({});
    const auto anything = [&](uint32_t next) { return c.loop([&](uint32_t again) { return c.nfa.character(any, again); }, next); };
    c.nfa.accept = c.nfa.add({});
    const uint32_t behind = c.nfa.split(anything(c.nfa.byte(Nfa::kEnd, Nfa::kEnd, c.nfa.accept)), c.nfa.accept);
    const uint32_t match = c.state_of(tree, behind);
    if (match != Nfa::kNone) c.nfa.start = c.nfa.split(match, c.nfa.byte(Nfa::kBegin, Nfa::kBegin, anything(match)));
    if (c.too_large())
        return Error{Errc::bad_grammar, concat("the pattern ", in_double_quotes(pattern), " needs more than ", kMaxNfaStates, " states"),
                     "repeat less in it"};
    return std::move(c.nfa);
}

}  // namespace lapidary::model
