// Decides what lies at a model path and calls the loader for it; see loader.h.
#include "model/load/loader.h"

#include <algorithm>

#include "base/try.h"
#include "model/load/folder_kind.h"
#include "model/load/gguf_loader.h"
#include "model/load/hf_loader.h"
#include "model/load/lapidary_loader.h"
#include "runtime/file/describe.h"
#include "runtime/file/gguf.h"
#include "runtime/file/lapidary_file.h"

namespace lapidary::model {
namespace {

namespace fs = std::filesystem;
using runtime::concat;
using runtime::in_quotes;

constexpr const char* kHint =
    "give a GGUF or .lapidary file, a Hugging Face folder, or a folder that holds one GGUF model";

bool present(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

bool has_safetensors(const fs::path& folder) {
    return present(folder / "model.safetensors") || present(folder / "model.safetensors.index.json");
}

// The text models among the files of a folder; of a split model only its first part.
Result<std::vector<fs::path>> text_models(const fs::path& folder) {
    std::vector<fs::path> found;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(folder, failed)) {
        std::error_code ignored;
        const std::string file_name = entry.path().filename().string();
        if (entry.path().extension() != ".gguf" || !entry.is_regular_file(ignored)) continue;
        if (is_projector_name(file_name)) continue;
        const auto split = runtime::parse_split_name(file_name);
        if (split && split->number != 1 && present(folder / split->part_name(1))) continue;
        found.push_back(entry.path());
    }
    if (failed)
        return Error{Errc::model_not_found,
                     concat("cannot read the folder ", in_quotes(folder.string()), ": ", failed.message())};
    std::sort(found.begin(), found.end());
    return found;
}

Result<LoadedModel> load_folder(LoadOptions options) {
    const fs::path& folder = options.model;
    const bool config = present(folder / "config.json");
    LAP_ASSIGN(const auto models, text_models(folder));
    if (has_safetensors(folder) || (config && models.empty())) {
        if (!config)
            return Error{Errc::model_not_found,
                         concat("the folder ", in_quotes(folder.string()), " has weights but no config.json"),
                         "fetch the missing file"};
        return load_hf_folder(options);
    }
    if (models.empty()) {
        if (const auto other = folder_without_weights(folder)) return *other;
        return Error{Errc::model_not_found,
                     concat("the folder ", in_quotes(folder.string()), " holds no model"), kHint};
    }
    if (models.size() > 1) {
        std::string list;
        for (const auto& path : models)
            list += concat(list.empty() ? "" : ", ", in_quotes(path.filename().string()));
        return Error{
            Errc::model_not_found,
            concat("the folder ", in_quotes(folder.string()), " holds ", models.size(), " models: ", list),
            "name one of the files"};
    }
    options.model = models.front();
    return load_gguf_file(options);
}

Result<LoadedModel> load_file(const LoadOptions& options) {
    const std::string file = in_quotes(options.model.string());
    const std::string extension = options.model.extension().string();
    if (extension == ".safetensors" || extension == ".json")
        return Error{Errc::bad_model_file, concat(file, " is one file of a Hugging Face folder"),
                     "give the folder that holds it"};
    if (extension == ".lapidary" || runtime::is_lapidary_file(options.model)) return load_lapidary_file(options);
    return load_gguf_file(options);
}

}  // namespace

Result<LoadedModel> load_model(const LoadOptions& options) {
    std::error_code failed;
    if (options.model.empty()) return Error{Errc::model_not_found, "no model was named", kHint};
    const auto status = fs::status(options.model, failed);
    if (status.type() == fs::file_type::not_found)
        return Error{Errc::model_not_found,
                     concat("there is no model at ", in_quotes(options.model.string())), "check the path"};
    if (status.type() == fs::file_type::none)
        return Error{Errc::model_not_found,
                     concat("cannot look at ", in_quotes(options.model.string()), ": ", failed.message())};
    return fs::is_directory(status) ? load_folder(options) : load_file(options);
}

}  // namespace lapidary::model
