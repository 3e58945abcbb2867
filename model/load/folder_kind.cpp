// Told by the names that transformers, PEFT and PyTorch give their files; see folder_kind.h.
#include "model/load/folder_kind.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/describe.h"
#include "runtime/file/json_file.h"

namespace lapidary::model {
namespace fs = std::filesystem;

namespace {

struct Kind {
    const char* file;
    const char* what;
    const char* hint;
};
constexpr const char* kFetch = "fetch the whole model: config.json and its .safetensors files belong to it";
constexpr const char* kConvert = "save the model as safetensors, or convert it to GGUF";
constexpr const char* kMerge = "merge it into the model it was made for, and give the result";
constexpr Kind kKinds[] = {  // the first that is there counts
    {"adapter_config.json", "an adapter (LoRA), not a model", kMerge},
    {"adapter_model.safetensors", "an adapter (LoRA), not a model", kMerge},
    {"pytorch_model.bin", "weights of PyTorch, which are not read", kConvert},
    {"pytorch_model.bin.index.json", "weights of PyTorch, which are not read", kConvert},
    {"tf_model.h5", "weights of TensorFlow, which are not read", kConvert},
    {"flax_model.msgpack", "weights of Flax, which are not read", kConvert},
    {"config.json", "a configuration without weights", kFetch},
    {"tokenizer.json", "a tokenizer without a model", kFetch},
    {"tokenizer.model", "a tokenizer without a model", kFetch},
    {"tokenizer_config.json", "a tokenizer without a model", kFetch},
    {"chat_template.jinja", "a chat template without a model", kFetch},
    {"chat_template.json", "a chat template without a model", kFetch},
    {"processor_config.json", "a processor's settings without a model", kFetch},
    {"preprocessor_config.json", "a processor's settings without a model", kFetch},
};

bool is_part_of_model(const std::string& name) {
    for (const char* other : {"generation_config.json", "model.safetensors.index.json"})
        if (name == other) return true;
    if (name.starts_with("model") && name.ends_with(".safetensors")) return true;
    return std::any_of(std::begin(kKinds), std::end(kKinds), [&](const Kind& kind) { return name == kind.file; });
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
    std::vector<fs::path> found;
    std::error_code failed;
    for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed))
        found.push_back(entry->path());
    std::sort(found.begin(), found.end());
    return found;
}

// The commit that refs/main names; empty without such a file.
std::string main_revision(const fs::path& folder) {
    constexpr uint64_t kMaxBytes = 256;
    const auto text = runtime::read_text_file(folder / "refs" / "main", kMaxBytes);
    return text ? text->substr(0, text->find_first_of("\r\n/")) : std::string();
}

}  // namespace

std::optional<Error> folder_without_weights(const fs::path& folder) {
    std::error_code ignored;
    for (const Kind& kind : kKinds)
        if (fs::exists(folder / kind.file, ignored))
            return Error{Errc::model_not_found,
                         concat("the folder ", in_quotes(folder.string()), " holds ", kind.what, " (", kind.file, ")"),
                         kind.hint};
    return std::nullopt;
}

std::optional<Error> broken_link(const fs::path& path) {
    std::error_code failed;
    if (!fs::is_symlink(path, failed) || fs::status(path, failed).type() != fs::file_type::not_found) return std::nullopt;
    return Error{Errc::model_not_found,
                 concat(in_quotes(path.string()), " is a link to ", in_quotes(fs::read_symlink(path, failed).string()),
                        ", which is not there"),
                 "fetch the model again"};
}

std::optional<Error> broken_link_in(const fs::path& folder) {
    for (const fs::path& path : sorted_entries(folder))
        if (is_part_of_model(path.filename().string()))
            if (auto broken = broken_link(path)) return broken;
    return std::nullopt;
}

Result<fs::path> snapshot_of(const fs::path& folder) {
    std::error_code ignored;
    const fs::path snapshots = folder / "snapshots";
    if (!fs::is_directory(snapshots, ignored) || fs::exists(folder / "config.json", ignored)) return folder;
    const std::string main = main_revision(folder);
    if (!main.empty() && fs::is_directory(snapshots / main, ignored)) return snapshots / main;
    std::vector<std::string> names;
    for (const fs::path& path : sorted_entries(snapshots))
        if (fs::is_directory(path, ignored)) names.push_back(path.filename().string());
    if (names.size() == 1) return snapshots / names.front();
    const std::string what = names.empty() ? "no snapshot" : concat("the snapshots ", short_list(names));
    return Error{Errc::model_not_found,
                 concat("the folder ", in_quotes(folder.string()), " of a cache holds ", what, ", and refs/main names ",
                        main.empty() ? "none" : in_quotes(main)),
                 names.empty() ? "fetch the model again" : "give the folder of one of the snapshots"};
}

}  // namespace lapidary::model
