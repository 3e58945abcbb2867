// What the files of a folder are, told from their content and never from their names: a model lies beside projectors
// of several precisions, other models, adapters, importance matrices and what a file system leaves behind.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

enum class FileKind { model, projector, other };

struct FolderFile {
    std::filesystem::path path;
    FileKind kind = FileKind::other;
    std::string what;  // of `other`, as it follows the name: ": this is an adapter", " is damaged"
};

// What is there instead of a file or a folder ("is a named pipe"); empty for these two.
std::string odd_file_kind(std::filesystem::file_type type);

// Every GGUF file of the folder, whatever its name, and what is named .gguf and is none; in the order of names.
Result<std::vector<FolderFile>> look_into_folder(const std::filesystem::path& folder);

// 'a.gguf': this is an adapter; 'b.gguf' is ...; cut after some.
std::string list_of(const std::vector<FolderFile>& files);

}  // namespace lapidary::model
