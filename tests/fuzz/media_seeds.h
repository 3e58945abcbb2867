// The small pictures and recordings of the repository.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/scratch_folder.h"

namespace lapidary::fuzz {

// The files with one of these extensions, up to 12 KiB each, in order of their names.
inline std::vector<std::string> media_files(const std::vector<std::string>& extensions) {
    std::vector<std::filesystem::path> paths;
    for (const char* folder : {"tests/data/media", "tests/data/media/video", "tests/data/goldens/media", "models/tiny/samples"})
        for (const auto& entry :
             std::filesystem::directory_iterator(std::filesystem::path(LAPIDARY_SOURCE_DIR) / folder))
            if (std::count(extensions.begin(), extensions.end(), entry.path().extension().string()) > 0 &&
                entry.file_size() <= 12 << 10)
                paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<std::string> out;
    for (const auto& path : paths) out.push_back(test::read_file(path));
    return out;
}

}  // namespace lapidary::fuzz
