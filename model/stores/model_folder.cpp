// Files are sorted into models, projectors and companions by their names; see model_folder.h.
#include "model/stores/model_folder.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "base/describe.h"
#include "model/stores/store_files.h"
#include "runtime/file/gguf.h"
#include "runtime/file/json_file.h"

namespace lapidary::stores {
namespace {

namespace fs = std::filesystem;

constexpr int kDepth = 3;  // publishers of many types make a folder for each

void collect_files(const fs::path& folder, int depth, std::vector<fs::path>& files) {
    for (const fs::path& path : entries_of(folder).paths) {
        if (!is_folder(path)) files.push_back(path);
        else if (depth + 1 < kDepth) collect_files(path, depth + 1, files);
    }
}

// Words in names of files that lie beside models and are none.
bool is_drafter_name(const std::string& stem) {
    return contains_without_case(stem, "draft") || contains_without_case(stem, "mtp") || contains_without_case(stem, "assistant");
}
bool is_companion_name(const std::string& stem) { return is_drafter_name(stem) || contains_without_case(stem, "imatrix"); }

// Q4_0, IQ4_NL, TQ1_0, BF16, F16, F32, MXFP4
bool is_type(const std::string& word) {
    const std::string text = lower(word);
    for (const char* whole : {"bf16", "f16", "fp16", "f32", "mxfp4"})
        if (text == whole) return true;
    const size_t at = text.starts_with("iq") || text.starts_with("tq") ? 2 : text.starts_with("q") ? 1 : text.npos;
    return at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0;
}

// MLX keeps the settings of its quantisation where transformers keeps "quantization_config".
bool is_mlx(const fs::path& folder) {
    const auto config = runtime::read_json_file(folder / "config.json");
    return config && config->contains("quantization");
}

StoredModel common(const NamedFolder& what) {
    StoredModel out;
    out.program = what.program;
    out.repo = what.repo;
    out.download = what.download;
    return out;
}

std::string short_name(const std::string& repo) { return repo.substr(repo.rfind('/') + 1); }

// All of a folder's words: with and without the publisher.
void add_words(StoredModel& model, const std::string& behind) {
    model.words.push_back(model.repo + behind);
    if (const std::string name = short_name(model.repo); name != model.repo) model.words.push_back(name + behind);
}

void add_checkpoint(const NamedFolder& what, const std::vector<fs::path>& files, Listing& listing) {
    StoredModel model = common(what);
    model.model = what.folder;
    model.title = short_name(what.repo);
    model.name = prefix_of(what.program) + what.repo;
    add_words(model, "");
    for (const fs::path& file : files) {
        if (file.parent_path() != what.folder) continue;
        if (model.usable())
            if (const auto outside = leads_outside(file, what.root)) model.problem = *outside;
        if (file.extension() == ".safetensors") model.bytes += size_of(file);
    }
    if (model.usable() && is_mlx(what.folder))
        model.problem = {Errc::unsupported_model, concat(in_quotes(model.name), " is a model of MLX, whose quantised tensors are not read"),
                         "fetch the model as GGUF or in its published form"};
    listing.models.push_back(std::move(model));
}

}  // namespace

bool is_gguf_name(const fs::path& file) { return lower(file.extension().string()) == ".gguf"; }
bool is_projector_name(const fs::path& file) { return contains_without_case(file.filename().string(), "mmproj"); }

std::string type_in_name(const std::string& stem) {
    for (size_t end = stem.size(); end > 0;) {
        const size_t mark = stem.find_last_of("-.", end - 1);
        const size_t begin = mark == stem.npos ? 0 : mark + 1;
        if (const std::string word = stem.substr(begin, end - begin); is_type(word)) return word;
        end = mark == stem.npos ? 0 : mark;
    }
    return {};
}

fs::path best_projector(const std::vector<fs::path>& files) {
    const auto rank = [](const fs::path& file) {
        const std::string name = lower(file.filename().string());
        const bool bf16 = name.find("bf16") != name.npos, f16 = name.find("f16") != name.npos;
        return std::tuple(bf16 ? 0 : f16 ? 1 : 2, name);
    };
    fs::path best;
    for (const fs::path& file : files)
        if (is_projector_name(file) && (best.empty() || rank(file) < rank(best))) best = file;
    return best;
}

std::vector<GgufFile> join_parts(const std::vector<fs::path>& files, const fs::path& root) {
    const std::set<fs::path> present(files.begin(), files.end());
    std::map<fs::path, size_t> known;  // the first part -> its place in `out`
    std::vector<GgufFile> out;
    for (const fs::path& file : files) {
        const auto split = runtime::parse_split_name(file.filename().string());
        const fs::path first = split ? file.parent_path() / split->part_name(1) : file;
        const auto [at, added] = known.try_emplace(first, out.size());
        if (added) out.push_back({first, split ? split->stem : file.stem().string(), 0, {Errc::ok, {}, {}}});
        GgufFile& model = out[at->second];
        model.bytes += size_of(file);
        if (added && split)
            for (int part = 1; part <= split->count && model.problem.code == Errc::ok; ++part) {
                const fs::path path = file.parent_path() / split->part_name(part);
                if (present.count(path) == 0)
                    model.problem = {Errc::model_not_found,
                                     concat("part ", part, " of ", split->count, " is missing: ", in_quotes(path.string())),
                                     "let the download finish, or fetch the model again"};
            }
        if (const auto outside = leads_outside(file, root); outside && model.problem.code == Errc::ok) model.problem = *outside;
    }
    return out;
}

void list_folder(const NamedFolder& what, Listing& listing) {
    std::vector<fs::path> files, ggufs, projectors;
    collect_files(what.folder, 0, files);
    for (const fs::path& file : files)
        if (is_gguf_name(file)) (is_projector_name(file) ? projectors : ggufs).push_back(file);
    const bool weights = std::any_of(files.begin(), files.end(), [&](const fs::path& file) {
        return file.extension() == ".safetensors" && file.parent_path() == what.folder;
    });
    const bool checkpoint = weights || ggufs.empty();
    if (checkpoint) add_checkpoint(what, files, listing);

    std::vector<GgufFile> models = join_parts(ggufs, what.root), drafters;
    const auto is_model = [](const GgufFile& file) { return !is_companion_name(file.stem); };
    if (std::any_of(models.begin(), models.end(), is_model)) {  // else the error of a companion says what it is
        for (const GgufFile& file : models)
            if (is_drafter_name(file.stem)) drafters.push_back(file);
        std::erase_if(models, [&](const GgufFile& file) { return !is_model(file); });
    }
    const fs::path projector = best_projector(projectors);
    const auto outside = projector.empty() ? std::nullopt : leads_outside(projector, what.root);
    for (const GgufFile& file : models) {
        StoredModel model = common(what);
        model.model = file.path;
        model.file = file.stem;
        model.bytes = file.bytes;
        model.problem = file.problem;
        if (outside) model.projector_problem = *outside;
        else model.projector = projector;
        if (!model.projector.empty()) model.bytes += size_of(projector);
        if (!drafters.empty() && drafters.front().problem.code == Errc::ok) model.drafter = drafters.front().path;
        const std::string type = type_in_name(file.stem);
        const auto alike = std::count_if(models.begin(), models.end(), [&](const GgufFile& other) {
            return lower(type_in_name(other.stem)) == lower(type);
        });
        const bool alone = models.size() == 1 && !checkpoint;
        const std::string behind = alone ? "" : concat(":", !type.empty() && alike == 1 ? type : file.stem);
        model.name = concat(prefix_of(what.program), what.repo, behind);
        const std::string whole = file.path.filename().string();
        for (const std::string& word : {behind, concat(":", file.stem), concat(":", whole), concat("/", whole)}) add_words(model, word);
        listing.models.push_back(std::move(model));
    }
}

}  // namespace lapidary::stores
