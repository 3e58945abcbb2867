// Where each program keeps its models, by its own variables and defaults.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "model/stores/stored_model.h"

namespace lapidary::stores {

// A variable's value; empty: it is not set.
using Variables = std::function<std::string(const char* name)>;

struct Places {
    // The first folder that has a name counts.
    std::vector<std::filesystem::path> ollama = {}, hugging_face = {}, lm_studio = {}, llama_cpp = {};
    std::vector<StoreProblem> problems = {};  // settings that could not be read
};

// Folders need not exist. Without HOME those that no variable names are left out.
Places places_of(const Variables& variables);
Places places_here();  // of this process

}  // namespace lapidary::stores
