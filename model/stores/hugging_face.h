// The cache of huggingface_hub: models--ORG--NAME with refs/REVISION, snapshots/COMMIT and the blobs that their links name.
#pragma once

#include <filesystem>
#include <string>

#include "model/stores/stored_model.h"

namespace lapidary::stores {

// Appends the models of the cache in `root`: of each repository the revision, where it is there; "main" or, where no file says which
// commit that is, the newest snapshot when `revision` is empty. Names of another revision end in @REVISION.
void list_hugging_face(const std::filesystem::path& root, const std::string& revision, Listing& listing);

}  // namespace lapidary::stores
