// What the programs that download models keep, as their stores say: names and files, nothing of what is in a model. These
// folders belong to others: they are read, and nothing is ever written there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::stores {

enum class Program { ollama, hugging_face, lm_studio, llama_cpp };
std::string title_of(Program program);   // "Ollama"
std::string prefix_of(Program program);  // "ollama:", which its names begin with here

// How a store wants replies sampled where nobody says otherwise.
struct StoredDefaults {
    std::optional<double> temperature = {}, top_p = {}, min_p = {};
    std::optional<int32_t> top_k = {};
    std::vector<std::string> stop = {};    // texts that end a reply
    std::vector<std::string> unused = {};  // "num_ctx 4096": what else it says

    bool empty() const { return !temperature && !top_p && !min_p && !top_k && stop.empty(); }
};

struct StoredModel {
    Program program = Program::ollama;
    std::string name = {};                // that opens it: "ollama:gemma4:12b"
    std::vector<std::string> words = {};  // without the prefix: all that names it, case aside
    std::string repo = {}, file = {};     // of a GGUF file among others: repo:PART names it too, by any part of the file's name
    std::filesystem::path model = {};     // GGUF file, the first part of a split one, or Hugging Face folder
    std::filesystem::path projector = {}, drafter = {};  // empty: none
    Error projector_problem = {Errc::ok, {}, {}};        // why one that is kept with the model cannot be used
    std::string title = {};               // what to call it, where its folder is named after a commit
    uint64_t bytes = 0;                   // of model and projector
    StoredDefaults defaults = {};
    std::string system = {};              // prompt
    std::vector<std::string> notes = {};  // what of it is not made use of
    std::vector<std::pair<std::string, std::string>> facts = {};  // for inspect
    std::string download = {};            // that one is under way or broke off, where files end in .incomplete
    Error problem = {Errc::ok, {}, {}};   // why it cannot be opened

    bool usable() const { return problem.code == Errc::ok; }
};

struct StoreProblem {
    Program program = Program::ollama;
    std::filesystem::path folder = {};
    std::string message = {}, hint = {};
};

// Damaged models stand among the others, with their problem; folders that cannot be read are problems of their own.
struct Listing {
    std::vector<StoredModel> models = {};
    std::vector<StoreProblem> problems = {};
};

}  // namespace lapidary::stores
