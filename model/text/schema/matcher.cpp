// A step reads one symbol in every thread, then follows what needs no symbol: forks, calls and returns.
#include "model/text/schema/matcher.h"

#include <algorithm>

namespace lapidary::model {
namespace {

using Op = Grammar::Op;

// Phases of a text. Behind a backslash; so many digits of \uXXXX read; then the same of the lower half of a pair.
constexpr uint8_t kBackslash = 1, kHexDigits = 2, kLowBackslash = 6, kLowU = 7, kLowDigits = 8;
// So many continuation bytes are to come; the second byte of some characters has narrower bounds.
constexpr uint8_t kOneMore = 16, kTwoMore = 17, kThreeMore = 18, kAfterE0 = 19, kAfterED = 20, kAfterF0 = 21, kAfterF4 = 22;

int hex_value(uint8_t byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

// What one letter behind a backslash stands for; -1: nothing, or digits follow.
int escaped(uint8_t letter) {
    switch (letter) {
        case '"': case '\\': return letter;
        case 'b': return '\b';
        case 'f': return '\f';
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        default: return -1;
    }
}

// Of the first byte of a character beyond ASCII; kBetween: there is none.
uint8_t phase_behind(uint8_t lead) {
    if (lead >= 0xC2 && lead <= 0xDF) return kOneMore;
    switch (lead) {
        case 0xE0: return kAfterE0;
        case 0xED: return kAfterED;
        case 0xF0: return kAfterF0;
        case 0xF4: return kAfterF4;
        default: break;
    }
    if (lead >= 0xE1 && lead <= 0xEF) return kTwoMore;
    return lead >= 0xF1 && lead <= 0xF3 ? kThreeMore : Thread::kBetween;
}

bool continues(uint8_t& phase, uint8_t byte) {
    struct Row {
        uint8_t first, last, next;
    };
    constexpr Row kRows[] = {{0x80, 0xBF, Thread::kBetween}, {0x80, 0xBF, kOneMore}, {0x80, 0xBF, kTwoMore}, {0xA0, 0xBF, kOneMore},
                             {0x80, 0x9F, kOneMore},         {0x90, 0xBF, kTwoMore}, {0x80, 0x8F, kTwoMore}};
    const Row& row = kRows[phase - kOneMore];
    phase = row.next;
    return byte >= row.first && byte <= row.last;
}

}  // namespace

Matcher::Matcher(const Grammar& grammar) : grammar_(&grammar), frames_(1), returns_(1), keys_(1) {
    frames_[0] = {grammar.root, 0, grammar.rules[grammar.root].levels};
    work_.push_back({.frame = 0, .state = grammar.rules[grammar.root].start});
    follow(now_);
}

bool Matcher::feed(uint16_t symbol) {
    const Mark before = mark();
    step(now_, symbol, next_);
    if (next_.empty()) {
        release(before);
        return false;
    }
    std::swap(now_, next_);
    return true;
}

bool Matcher::feed(std::string_view bytes) {
    const Mark before = mark();
    const Threads start = now_;
    for (const char c : bytes)
        if (!feed(static_cast<uint8_t>(c))) {
            now_ = start;
            release(before);
            return false;
        }
    return true;
}

void Matcher::release(const Mark& mark) {
    frames_.resize(mark.frames);
    returns_.resize(mark.returns);
    keys_.resize(mark.keys);
}

bool Matcher::complete(std::span<const Thread> threads) const {
    return std::any_of(threads.begin(), threads.end(), [&](const Thread& t) { return grammar_->states[t.state].op == Op::done; });
}

void Matcher::step(std::span<const Thread> from, uint16_t symbol, Threads& to) {
    to.clear();
    fresh_ = frames_.size();
    for (const Thread& thread : from) {
        const Grammar::State& state = grammar_->states[thread.state];
        const auto goes_to = [&](uint32_t next) { work_.push_back({.frame = thread.frame, .state = next, .keys = thread.keys}); };
        if (state.op == Op::bytes) {
            for (uint32_t i = state.a; i < state.b; ++i) {
                const Grammar::Edge& edge = grammar_->edges[i];
                if (edge.first <= symbol && symbol <= edge.last) goes_to(edge.next);
            }
        } else if (state.op == Op::gap) {
            if (symbol == ' ' && thread.at == 0) goes_to(state.a);
            const bool indents = symbol == ' ' ? thread.at > 0 && thread.at <= kMostIndent : symbol == '\n' && thread.at == 0;
            if (indents) work_.push_back({.frame = thread.frame, .state = thread.state, .at = thread.at + 1, .keys = thread.keys});
        } else if (state.op == Op::text) {
            step_text(thread, symbol, to);
        }
        follow(to);
    }
}

// What lies in work_, until every thread of it waits for a symbol in `to`.
void Matcher::follow(Threads& to) {
    while (!work_.empty()) {
        const Thread thread = work_.back();
        work_.pop_back();
        const Grammar::State& state = grammar_->states[thread.state];
        if (frames_[thread.frame].levels + state.levels > kDeepestValues) continue;
        const auto goes_to = [&](uint32_t next) { work_.push_back({.frame = thread.frame, .state = next, .keys = thread.keys}); };
        const auto waits = [&] {
            if (std::find(to.begin(), to.end(), thread) == to.end()) to.push_back(thread);
        };
        switch (state.op) {
            case Op::bytes: waits(); break;
            case Op::text: {
                Thread begins = thread;
                begins.hash = kFirstKeyHash;
                if (std::find(to.begin(), to.end(), begins) == to.end()) to.push_back(begins);
                break;
            }
            case Op::gap:
                waits();
                goes_to(state.a);
                break;
            case Op::fork:
                for (uint32_t i = state.a; i < state.b; ++i) goes_to(grammar_->targets[i]);
                break;
            case Op::call: call(thread, state); break;
            case Op::done:
                if (thread.frame == 0) waits();
                for (uint32_t r = frames_[thread.frame].returns; r != 0; r = returns_[r].next)
                    work_.push_back({.frame = returns_[r].frame, .state = returns_[r].state, .keys = returns_[r].keys});
        }
    }
}

void Matcher::call(const Thread& thread, const Grammar::State& state) {
    const Grammar::Rule& rule = grammar_->rules[state.a];
    const auto levels = static_cast<uint8_t>(frames_[thread.frame].levels + rule.levels);
    size_t frame = fresh_;
    while (frame < frames_.size() && !(frames_[frame].rule == state.a && frames_[frame].levels == levels)) ++frame;
    const bool fresh = frame == frames_.size();
    if (fresh) frames_.push_back({state.a, 0, levels});
    for (uint32_t r = frames_[frame].returns; r != 0; r = returns_[r].next)
        if (returns_[r].frame == thread.frame && returns_[r].state == state.b && returns_[r].keys == thread.keys) return;
    returns_.push_back({thread.frame, state.b, thread.keys, frames_[frame].returns});
    frames_[frame].returns = static_cast<uint32_t>(returns_.size() - 1);
    if (fresh) work_.push_back({.frame = static_cast<uint32_t>(frame), .state = rule.start});
}

bool Matcher::new_key(const TextRule& rule, const Thread& thread) const {
    if (std::binary_search(rule.taken.begin(), rule.taken.end(), thread.hash)) return false;
    for (uint32_t k = thread.keys; k != 0; k = keys_[k].next)
        if (keys_[k].hash == thread.hash) return false;
    return true;
}

void Matcher::step_text(Thread thread, uint16_t symbol, Threads& to) {
    const Grammar::State& state = grammar_->states[thread.state];
    const TextRule& rule = grammar_->texts[state.a];
    const Dfa* table = rule.table >= 0 ? &grammar_->tables[static_cast<size_t>(rule.table)] : nullptr;
    if (symbol == rule.close && thread.phase == Thread::kBetween) {
        if (table ? !table->states[thread.at].accepts : thread.at < rule.least) return;
        if (rule.key && !new_key(rule, thread)) return;
        if (rule.key) {
            keys_.push_back({thread.hash, thread.keys});
            thread.keys = static_cast<uint32_t>(keys_.size() - 1);
        }
        work_.push_back({.frame = thread.frame, .state = state.b, .keys = thread.keys});
        return;
    }
    if (symbol > 255) return;
    const auto byte = static_cast<uint8_t>(symbol);
    if (table ? !step_table(thread, *table, byte, rule.json) : !step_characters(thread, rule, byte)) return;
    if (rule.key) thread.hash = key_hash(thread.hash, byte);
    if (std::find(to.begin(), to.end(), thread) == to.end()) to.push_back(thread);
}

bool Matcher::step_table(Thread& thread, const Dfa& table, uint8_t byte, bool json) const {
    int means = byte;
    const auto& next = table.states[thread.at].next;
    if (json && thread.phase == kBackslash) {
        means = escaped(byte);
        if (means < 0) return false;
        thread.phase = Thread::kBetween;
    } else if (json && byte == '\\') {
        thread.phase = kBackslash;
        constexpr std::string_view kMeanings = "\"\\\b\f\n\r\t";
        return std::any_of(kMeanings.begin(), kMeanings.end(), [&](char c) { return next[static_cast<uint8_t>(c)] != Dfa::kDead; });
    } else if (json && (byte < 0x20 || byte == '"')) {
        return false;
    }
    const uint16_t to = next[static_cast<uint8_t>(means)];
    thread.at = to;
    return to != Dfa::kDead;
}

bool Matcher::step_characters(Thread& thread, const TextRule& rule, uint8_t byte) const {
    uint8_t& phase = thread.phase;
    if (phase >= kOneMore) return continues(phase, byte);
    if (phase == Thread::kBetween) {  // a character begins
        if (thread.at == rule.most) return false;
        if (thread.at < (rule.most != UINT32_MAX ? rule.most : rule.least)) ++thread.at;  // beyond which nobody counts
        if (byte >= 0x80) return (phase = phase_behind(byte)) != Thread::kBetween;
        if (rule.json && byte == '\\') {
            phase = kBackslash;
            return !rule.key;
        }
        return byte >= 0x20 || (!rule.json && (byte == '\t' || byte == '\n' || byte == '\r'));
    }
    if (phase == kBackslash) {
        phase = byte == 'u' ? kHexDigits : Thread::kBetween;
        thread.unit = 0;
        return byte == 'u' || byte == '/' || escaped(byte) >= 0;
    }
    if (phase == kLowBackslash || phase == kLowU) return byte == (phase++ == kLowBackslash ? '\\' : 'u');
    const int digit = hex_value(byte);
    if (digit < 0) return false;
    thread.unit = static_cast<uint16_t>(thread.unit << 4 | digit);
    const bool low = phase >= kLowDigits;
    const int digits = ++phase - (low ? kLowDigits : kHexDigits);
    if (low) {  // DC00 to DFFF
        if (digits == 1 && thread.unit != 0xD) return false;
        if (digits == 2 && thread.unit < 0xDC) return false;
    } else if (digits == 2 && thread.unit >= 0xDC && thread.unit <= 0xDF) {
        return false;  // without its upper half
    }
    if (digits < 4) return true;
    phase = !low && thread.unit >= 0xD800 && thread.unit <= 0xDBFF ? kLowBackslash : Thread::kBetween;
    thread.unit = 0;
    return true;
}

}  // namespace lapidary::model
