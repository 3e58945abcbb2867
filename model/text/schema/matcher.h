// Runs a grammar over bytes: all ways in which the text so far can be read, side by side. Ways that enter the same rule at the
// same place share it from there on (a graph-structured stack, Tomita 1987), so that no schema makes them grow without end.
// What a step makes can be taken back, for walks over many tokens from one place.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/text/schema/grammar.h"

namespace lapidary::model {

// One way to read the text: a state of a rule, and what its text has been so far.
struct Thread {
    uint32_t frame = 0, state = 0;
    uint32_t at = 0;           // gap: spaces; text: state of the table, or characters
    uint32_t keys = 0;         // that the object has without having declared them: Matcher::keys_; 0: none
    uint64_t hash = 0;         // of the key so far
    uint16_t unit = 0;         // of an escape, as far as its digits are there
    uint8_t phase = 0;         // of text: kBetween, or inside a character or an escape

    static constexpr uint8_t kBetween = 0;
    bool operator==(const Thread&) const = default;
};
using Threads = std::vector<Thread>;

class Matcher {
  public:
    // The grammar must outlive it.
    explicit Matcher(const Grammar& grammar);

    // Goes on by the bytes, or stays where it was and says no. The second reads symbols above the bytes too.
    bool feed(std::string_view bytes);
    bool feed(uint16_t symbol);
    bool complete() const { return complete(now_); }  // the text may end here
    const Threads& now() const { return now_; }
    const Grammar& grammar() const { return *grammar_; }

    // For walks: the ways behind one more symbol, none where it cannot be. What it makes lies behind the mark.
    struct Mark {
        size_t frames, returns, keys;
    };
    Mark mark() const { return {frames_.size(), returns_.size(), keys_.size()}; }
    void release(const Mark& mark);
    void step(std::span<const Thread> from, uint16_t symbol, Threads& to);
    bool complete(std::span<const Thread> threads) const;

  private:
    struct Frame {
        uint32_t rule = 0, returns = 0;  // the first of its list; 0: the outermost
        uint8_t levels = 0;              // of values around what it reads
    };
    struct Return {
        uint32_t frame, state, keys, next;
    };
    struct Key {
        uint64_t hash;
        uint32_t next;
    };

    void follow(Threads& to);
    void call(const Thread& thread, const Grammar::State& state);
    void step_text(Thread thread, uint16_t symbol, Threads& to);
    bool step_table(Thread& thread, const Dfa& table, uint8_t byte, bool json) const;
    bool step_characters(Thread& thread, const TextRule& rule, uint8_t byte) const;
    bool new_key(const TextRule& rule, const Thread& thread) const;

    const Grammar* grammar_;
    std::vector<Frame> frames_;
    std::vector<Return> returns_;
    std::vector<Key> keys_;
    size_t fresh_ = 1;      // frames from here on were made by this step
    Threads work_, now_, next_;
};

}  // namespace lapidary::model
