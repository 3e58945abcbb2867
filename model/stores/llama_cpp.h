// llama.cpp's cache: ORG_NAME_FILE.gguf, all in one folder. Newer versions download into the cache of Hugging Face instead.
#pragma once

#include <filesystem>

#include "model/stores/stored_model.h"

namespace lapidary::stores {

void list_llama_cpp(const std::filesystem::path& root, Listing& listing);

}  // namespace lapidary::stores
