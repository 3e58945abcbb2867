// Decides what a name stands for and what lies at a path, and calls the loader for it; see loader.h.
#include "model/load/loader.h"

#include "base/describe.h"
#include "base/try.h"
#include "model/load/companions.h"
#include "model/load/folder_kind.h"
#include "model/load/gguf_loader.h"
#include "model/load/hf_loader.h"
#include "model/load/lapidary_loader.h"
#include "model/load/projector.h"
#include "model/load/stored_loader.h"
#include "model/stores/find.h"
#include "runtime/file/lapidary_file.h"
#include "runtime/file/safetensors.h"

namespace lapidary::model {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHint =
    "give a GGUF or .lapidary file, a Hugging Face folder, or a folder that holds one GGUF model";

// The GGUF model of a folder, whatever else lies there.
Result<fs::path> model_of(const fs::path& folder, const std::vector<FolderFile>& files) {
    std::vector<FolderFile> models, others;
    for (const FolderFile& file : files) (file.kind == FileKind::model ? models : others).push_back(file);
    if (models.size() == 1) return models.front().path;
    if (models.size() > 1)
        return Error{Errc::model_not_found,
                     concat("the folder ", in_quotes(folder.string()), " holds ", models.size(), " models: ",
                            list_of(models)),
                     "name one of the files"};
    if (others.size() == 1) return others.front().path;  // its own error says more
    for (FolderFile& file : others)
        if (file.kind == FileKind::projector) file.what = " is a projector";
    return Error{Errc::model_not_found,
                 concat("the folder ", in_quotes(folder.string()), " holds no model",
                        others.empty() ? "" : concat(". Looked at: ", list_of(others))),
                 kHint};
}

Result<LoadedModel> load_folder(LoadOptions options) {
    LAP_ASSIGN(const fs::path folder, snapshot_of(options.model));
    options.model = folder;
    if (const auto broken = broken_link_in(folder)) return *broken;
    std::error_code ignored;
    const bool config = fs::exists(folder / "config.json", ignored);
    if (runtime::holds_safetensors(folder)) {
        if (!config)
            return Error{Errc::model_not_found,
                         concat("the folder ", in_quotes(folder.string()), " has weights but no config.json"),
                         "fetch the missing file"};
        return load_hf_folder(options);
    }
    LAP_ASSIGN(const auto files, look_into_folder(folder));
    if (config && files.empty()) return load_hf_folder(options);
    if (files.empty())
        if (const auto other = folder_without_weights(folder)) return *other;
    LAP_ASSIGN(options.model, model_of(folder, files));
    if (const auto broken = broken_link(options.model)) return *broken;
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

Result<LoadedModel> load_path(const LoadOptions& options) {
    std::error_code failed;
    if (options.model.empty()) return Error{Errc::model_not_found, "no model was named", kHint};
    const auto status = fs::status(options.model, failed);
    if (const auto broken = broken_link(options.model)) return *broken;
    if (status.type() == fs::file_type::not_found)
        return Error{Errc::model_not_found,
                     concat("there is no model at ", in_quotes(options.model.string())), "check the path"};
    if (status.type() == fs::file_type::none)
        return Error{Errc::model_not_found,
                     concat("cannot look at ", in_quotes(options.model.string()), ": ", failed.message())};
    // Opening a pipe or a device could wait for ever.
    if (const std::string odd = odd_file_kind(status.type()); !odd.empty())
        return Error{Errc::bad_model_file,
                     concat(in_quotes(options.model.string()), " ", odd, ", not a regular file or a folder"), kHint};
    return fs::is_directory(status) ? load_folder(options) : load_file(options);
}

Result<LoadedModel> load_found(std::shared_ptr<const stores::StoredModel> stored, bool bare, LoadOptions options) {
    options.model = stored->model;
    auto loaded = load_path(options);
    if (!loaded) {
        Error error = loaded.error();
        if (!stored->download.empty()) error.hint = stored->download;
        return error;
    }
    loaded->stored = std::move(stored);
    add_stored(bare, *loaded);
    LAP_TRY(attach_projector(options, *loaded));
    return loaded;
}

}  // namespace

Result<LoadedModel> load_model(const LoadOptions& options) {
    LAP_ASSIGN(const stores::Found found, stores::find_model(options.model, stores::places_here()));
    if (found.stored) return load_found(found.stored, found.bare, options);
    LAP_ASSIGN(LoadedModel model, load_path(options));
    LAP_TRY(attach_projector(options, model));
    return model;
}

Result<LoadedModel> load_stored_model(std::shared_ptr<const stores::StoredModel> stored, LoadOptions options) {
    if (!stored->usable()) return stored->problem;
    return load_found(std::move(stored), false, std::move(options));
}

}  // namespace lapidary::model
