// Opens a model path: a .lapidary file, a GGUF file (text, or any part of a split), a Hugging Face folder, or a folder
// that holds one GGUF model among other files. Everything is checked against the config before a view is handed out:
// sizes, offsets, shapes, missing and duplicate tensors.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/result.h"
#include "model/config.h"
#include "model/load/tensor_source.h"
#include "model/text/vocabulary.h"
#include "model/weights.h"

namespace lapidary::model {

struct LoadedModel {
    ModelConfig config;
    Weights weights;
    std::optional<Vocabulary> vocabulary;  // absent: a synthetic file; text verbs then refuse
    std::string vocabulary_problem;        // why it is absent
    std::string source;                    // "gguf" or "hf", also of a packed model
    bool packed = false;                   // it came out of a .lapidary file
    std::string chat_template;             // the file's Jinja text, shown by inspect, never executed
    std::vector<std::filesystem::path> files;
    std::vector<SourceTensor> tensors;                          // what the files hold, in file order
    std::vector<std::pair<std::string, std::string>> metadata;  // for inspect, long values cut
    std::vector<std::string> notes;        // ModelInfo::notes
    std::vector<std::pair<std::string, std::string>> texts;  // with LoadOptions::carry: name, content
};

struct Inputs {
    bool image = false, audio = false;
};

struct LoadOptions {
    std::filesystem::path model = {};
    std::filesystem::path mmproj = {};  // empty: look beside the model, if asked to; "none": no projector
    Inputs inputs = {};            // that the model must take, by a projector beside it if need be
    bool companions = false;       // take the best projector beside the model, if there is one
    bool weights = true;           // false: headers, shapes and tokenizer only
    bool vocabulary = true;        // false: no tokenizer either, as planners need none
    bool prompts_only = false;     // not even the shapes: config and tokenizer, whatever became of the tensors
    bool carry = false;  // for who packs it: fill LoadedModel::texts, keep the tensors' bytes within reach
};

Result<LoadedModel> load_model(const LoadOptions& options);

}  // namespace lapidary::model
