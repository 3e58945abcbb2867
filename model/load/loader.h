// Opens a model by its path or name: a .lapidary file, a GGUF file (text, or any part of a split), a Hugging Face folder, or a folder
// that holds one GGUF model among other files. Everything is checked against the config before a view is handed out:
// sizes, offsets, shapes, missing and duplicate tensors.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/result.h"
#include "model/config.h"
#include "model/load/tensor_source.h"
#include "model/stores/stored_model.h"
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
    std::shared_ptr<const stores::StoredModel> stored;  // that it is, where a name was given instead of a path
    std::string system;                                 // ModelInfo::system
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
    bool prompts_only = false;     // not even the shapes: config and tokenizer, whatever became of the tensors
    bool vocabulary = true;        // false: that there is one will do, for who only plans
    bool carry = false;  // for who packs it: fill LoadedModel::texts, keep the tensors' bytes within reach
};

// options.model is a path, or a name by which another program keeps a model (model/stores/find.h).
Result<LoadedModel> load_model(const LoadOptions& options);
// One that was found already; options.model counts for nothing.
Result<LoadedModel> load_stored_model(std::shared_ptr<const stores::StoredModel> stored, LoadOptions options);

}  // namespace lapidary::model
