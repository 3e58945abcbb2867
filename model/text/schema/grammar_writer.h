// States of a grammar put together from the end, and what is left of them once every state without a way to the end is gone.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/text/schema/grammar.h"

namespace lapidary::model {

using Symbols = std::vector<uint16_t>;
Symbols symbols_of(std::string_view bytes);

class GrammarWriter {
  public:
    uint32_t done();
    uint32_t symbol(uint16_t symbol, uint32_t next);
    uint32_t literal(const Symbols& symbols, uint32_t next);
    uint32_t literal(std::string_view bytes, uint32_t next) { return literal(symbols_of(bytes), next); }
    // Any of the texts, whose beginnings are shared.
    uint32_t one_of(std::vector<Symbols> literals, uint32_t next);
    uint32_t fork(std::vector<uint32_t> targets);  // hopeless without targets
    uint32_t gap(uint32_t next) { return add({Grammar::Op::gap, 0, next, 0}); }
    uint32_t call(uint32_t rule, uint32_t next) { return add({Grammar::Op::call, 0, rule, next}); }
    uint32_t text(TextRule rule, uint32_t next);
    uint32_t table(Dfa dfa);
    uint32_t texts_of(const Dfa& dfa, uint32_t next);  // as states of their own
    // A place that others can lead to before it is known what it does.
    uint32_t place() { return add({Grammar::Op::fork, 0, 0, 0}); }
    void set(uint32_t place, std::vector<uint32_t> targets);

    uint32_t rule(uint8_t levels);
    void set_rule(uint32_t rule, uint32_t start) { grammar_.rules[rule].start = start; }
    size_t size() const { return grammar_.states.size(); }
    size_t rules() const { return grammar_.rules.size(); }

    // What every state takes to the end is found out, and no way into what has no end is left.
    void finish(uint32_t root);
    Grammar take() { return std::move(grammar_); }
    bool hopeless(uint32_t rule) const { return levels_of(rule) >= kDeepestValues; }  // after finish()

  private:
    uint32_t add(const Grammar::State& state);
    uint32_t shared(const std::vector<Symbols>& sorted, size_t begin, size_t end, size_t depth, uint32_t next);
    uint8_t levels_of(uint32_t rule) const;
    void find_levels();
    uint8_t levels_by(const Grammar::State& state, uint32_t next) const;
    template <class Visit>
    void for_each_next(const Grammar::State& state, const Visit& visit) const;

    Grammar grammar_;
};

}  // namespace lapidary::model
