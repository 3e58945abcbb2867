// Folders that hold a part of a model, or another kind of weights: says what they are. And how the cache of Hugging Face
// keeps models: as links into a store of blobs.
#pragma once

#include <filesystem>
#include <optional>

#include "lapidary/result.h"

namespace lapidary::model {

// The error for a folder without weights that can be opened, as far as its files tell what it is.
std::optional<Error> folder_without_weights(const std::filesystem::path& folder);

// The error for a link whose target is gone: a download that broke off, or a cache that was cleaned.
std::optional<Error> broken_link(const std::filesystem::path& path);
// The same for the files of a Hugging Face folder that a model is read from.
std::optional<Error> broken_link_in(const std::filesystem::path& folder);

// Where the model lies: in a folder models--OWNER--NAME of the Hugging Face cache the snapshot that refs/main names, or
// the only one; any other folder is itself.
Result<std::filesystem::path> snapshot_of(const std::filesystem::path& folder);

}  // namespace lapidary::model
