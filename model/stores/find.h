// From the names that people give to what the stores keep under them.
#pragma once

#include <filesystem>
#include <memory>

#include "model/stores/places.h"
#include "model/stores/stored_model.h"

namespace lapidary::stores {

// All that the places have. Of two models of one name the first counts, and the other has that as its problem.
Listing list_stores(const Places& places);

// Whether it begins as names of stores do: "ollama:", "hf:", "lmstudio:", "llama.cpp:", "llamacpp:".
bool is_store_name(const std::string& name);

struct Found {
    std::shared_ptr<const StoredModel> stored = {};  // null: `model` is a path, whether or not something lies there
    bool bare = false;                               // the name did not say which program's
};

// What is there as a file or folder is a path. Else a name with a prefix is looked for in that program's stores, and a bare word in
// all of them. model_not_found with the nearest names there are, or with all that fit where several do; and the problem of a model
// that cannot be opened.
Result<Found> find_model(const std::filesystem::path& model, const Places& places);

}  // namespace lapidary::stores
