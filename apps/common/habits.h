// What people type who come from llama.cpp, ollama or hyperfine: names that mean one of ours, and for the others a
// word on what to do here instead. Also the verbs that later versions will have.
#pragma once

#include <string_view>
#include <vector>

namespace lapidary::cli {

struct OptionHabit {
    std::string_view names;  // "-tb,--threads-batch"; -name and --name are the same where the name is long
    std::string_view ours;   // the option they mean, in verbs that have it; empty: none, see hint
    std::string_view hint;
};
// Null: nobody's habit.
const OptionHabit* find_option_habit(std::string_view name);

std::vector<std::string_view> names_elsewhere();  // long ones, of options that are ours under another name

struct VerbHabit {
    std::string_view names;  // "convert,quantize"
    bool later;              // a verb of ours that is not there yet; else what other programs call it
    std::string_view hint;   // what to use instead
};
const VerbHabit* find_verb_habit(std::string_view name);

}  // namespace lapidary::cli
