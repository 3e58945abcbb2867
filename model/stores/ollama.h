// Ollama's store: manifests/HOST/NAMESPACE/MODEL/TAG, a JSON file for each name, and blobs/sha256-HEX.
#pragma once

#include <filesystem>

#include "model/stores/stored_model.h"

namespace lapidary::stores {

// Appends what the store in `root` has. A manifest that is damaged, or names what is not run here, is a model with a problem.
void list_ollama(const std::filesystem::path& root, Listing& listing);

// What the text of a manifest names; `where` is its file, for errors. The name is left empty.
StoredModel read_manifest(const std::string& text, const std::string& where, const std::filesystem::path& root);

}  // namespace lapidary::stores
