// The verbs of the program, one file each. A verb parses its arguments, does its work and returns the exit
// code, or the error that main reports.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/common/help.h"
#include "apps/common/interrupt.h"
#include "apps/common/output.h"

namespace lapidary::cli {

struct Program {
    Console console;
    Interrupt interrupt{console.json};  // before any thread starts: they inherit its blocked signals
    // Where a verb hands its help when it is asked for; unset: to stdout.
    std::function<void(const HelpPage&)> take_help = {};

    int show(const HelpPage& page);  // answers the exit code
};
using Args = std::vector<std::string>;

Result<int> run_verb(Program& program, Args args);
Result<int> chat_verb(Program& program, Args args);
Result<int> logits_verb(Program& program, Args args);
Result<int> tokenize_verb(Program& program, Args args);
Result<int> inspect_verb(Program& program, Args args);
Result<int> list_verb(Program& program, Args args);
Result<int> doctor_verb(Program& program, Args args);
Result<int> synth_verb(Program& program, Args args);
Result<int> pack_verb(Program& program, Args args);
Result<int> plan_verb(Program& program, Args args);
Result<int> bench_verb(Program& program, Args args);
Result<int> perplexity_verb(Program& program, Args args);
Result<int> kld_verb(Program& program, Args args);
Result<int> tune_verb(Program& program, Args args);
Result<int> man_verb(Program& program, Args args);
Result<int> completions_verb(Program& program, Args args);

std::string overview(size_t width);  // `lapidary --help`

struct Verb {
    std::string_view name, summary;
    Result<int> (*run)(Program&, Args);
};
inline constexpr std::array<Verb, 16> kVerbs = {{
    {"run", "one prompt in, one answer out; text, pictures, recordings", run_verb},
    {"chat", "a conversation at the terminal, or line by line through a pipe", chat_verb},
    {"logits", "the forward pass: scores of the next token, to a file", logits_verb},
    {"tokenize", "text to token ids", tokenize_verb},
    {"inspect", "what is in a model file, and which kernels serve it", inspect_verb},
    {"list", "models that other programs keep on this machine, by name", list_verb},
    {"plan", "where a model would live here, what that takes, how fast it should be", plan_verb},
    {"bench", "speed: prompt and generation, beside what the machine can do", bench_verb},
    {"perplexity", "how well a model predicts a text", perplexity_verb},
    {"kld", "how far a model's predictions are from those of another", kld_verb},
    {"pack", "a model as one file that starts at once, quantised if asked", pack_verb},
    {"synth", "write a model of random weights, for measuring", synth_verb},
    {"doctor", "what this machine offers, and advice", doctor_verb},
    {"tune", "test and race a GPU's shaders ahead of use", tune_verb},
    {"completions", "what bash, zsh or fish need to complete a line", completions_verb},
    {"man", "the manual page, for man -l", man_verb},
}};

}  // namespace lapidary::cli
