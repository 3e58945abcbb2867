// The parameters that Ollama keeps with a model: one JSON object.
#pragma once

#include <string>

#include "model/stores/stored_model.h"

namespace lapidary::stores {

// They only advise: what makes no sense is left out and said in `notes`, as is a text that is no JSON object. `where` names the file
// in notes. The length of the context is not taken: it would cut conversations without a word, and memory decides it here.
StoredDefaults read_params(const std::string& text, const std::string& where, std::vector<std::string>& notes);

}  // namespace lapidary::stores
