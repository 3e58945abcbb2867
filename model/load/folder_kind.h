// Folders that hold a part of a model, or another kind of weights: says what they are.
#pragma once

#include <filesystem>
#include <optional>

#include "lapidary/result.h"

namespace lapidary::model {

// The error for a folder without weights that can be opened, as far as its files tell what it is.
std::optional<Error> folder_without_weights(const std::filesystem::path& folder);

}  // namespace lapidary::model
