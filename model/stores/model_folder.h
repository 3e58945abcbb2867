// A folder that holds what one name stands for: a Hugging Face checkpoint, GGUF files, or both. Here names of files say what these
// are: they were given by who published them, and nothing is opened to find a name.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/stores/stored_model.h"

namespace lapidary::stores {

struct NamedFolder {
    Program program = Program::hugging_face;
    std::filesystem::path root = {}, folder = {};  // no file of the folder may lie outside of the root
    std::string repo = {};                         // "org/name", as people name it
    std::string download = {};                     // StoredModel::download
};

// Appends a model for the checkpoint and one for every GGUF model. The only one is named by the repo alone, others by repo:TYPE or,
// where that does not tell them apart, repo:FILE. The projector of GGUF models is the best named mmproj: BF16, then F16, then others.
void list_folder(const NamedFolder& what, Listing& listing);

// A GGUF model of several files: split ones are one.
struct GgufFile {
    std::filesystem::path path = {};  // of the first part
    std::string stem = {};            // without the number of a part
    uint64_t bytes = 0;               // of all parts
    Error problem = {Errc::ok, {}, {}};
};
std::vector<GgufFile> join_parts(const std::vector<std::filesystem::path>& files, const std::filesystem::path& root);
bool is_projector_name(const std::filesystem::path& file);
// The best by its name of those that are projectors; empty: none is.
std::filesystem::path best_projector(const std::vector<std::filesystem::path>& files);
bool is_gguf_name(const std::filesystem::path& file);
// Q4_0 of "gemma-4-12b-it-Q4_0"; empty where no part of the name is a type.
std::string type_in_name(const std::string& stem);

}  // namespace lapidary::stores
