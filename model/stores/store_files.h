// Looking into folders of others without trusting them: links that lead out of a store, loops of links, folders that may not be
// read, names that are no names.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::stores {

// Without its capitals (ASCII): names of models differ in nothing else.
std::string lower(std::string_view text);
bool contains_without_case(std::string_view text, std::string_view part);

// Whether it can only be the name of one file or folder: not empty, no slash, not "." or "..", no control characters.
bool is_plain_name(std::string_view name);

struct Entries {
    std::vector<std::filesystem::path> paths = {};  // by name; hidden ones (.x) left out
    std::string problem = {};                       // why the folder could not be read; one that is not there is empty
};
Entries entries_of(const std::filesystem::path& folder);

bool is_folder(const std::filesystem::path& path);
uint64_t size_of(const std::filesystem::path& file);  // 0 where there is none

// The error for a path of a store that is gone, or is a link to somewhere outside of `root`.
std::optional<Error> leads_outside(const std::filesystem::path& path, const std::filesystem::path& root);

}  // namespace lapidary::stores
