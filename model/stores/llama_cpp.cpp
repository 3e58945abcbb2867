// A projector belongs to the models whose names begin as its own does, up to "mmproj"; see llama_cpp.h.
#include "model/stores/llama_cpp.h"

#include <algorithm>

#include "base/describe.h"
#include "model/stores/model_folder.h"
#include "model/stores/store_files.h"

namespace lapidary::stores {
namespace {

namespace fs = std::filesystem;

// "ggml-org_gemma-4-12b-it-GGUF_" of ggml-org_gemma-4-12b-it-GGUF_mmproj-f16.gguf
std::string owner_of(const fs::path& projector) {
    const std::string name = lower(projector.filename().string());
    return name.substr(0, name.find("mmproj"));
}

}  // namespace

void list_llama_cpp(const fs::path& root, Listing& listing) {
    const Entries entries = entries_of(root);
    if (!entries.problem.empty())
        listing.problems.push_back({Program::llama_cpp, root, concat("cannot read the folder: ", entries.problem), "check its permissions"});
    std::vector<fs::path> models, projectors;
    for (const fs::path& path : entries.paths)
        if (is_gguf_name(path) && !is_folder(path)) (is_projector_name(path) ? projectors : models).push_back(path);
    for (const GgufFile& file : join_parts(models, root)) {
        StoredModel model;
        model.program = Program::llama_cpp;
        model.name = prefix_of(Program::llama_cpp) + file.stem;
        model.words = {file.stem, file.stem + ".gguf", file.path.filename().string()};
        model.model = file.path;
        model.bytes = file.bytes;
        model.problem = file.problem;
        std::vector<fs::path> own;
        const std::string name = lower(file.path.filename().string());
        for (const fs::path& projector : projectors)
            if (const std::string owner = owner_of(projector); !owner.empty() && name.starts_with(owner)) own.push_back(projector);
        if (const fs::path best = best_projector(own); !best.empty()) {
            const auto outside = leads_outside(best, root);
            if (outside) model.projector_problem = *outside;
            else model.projector = best;
            if (!outside) model.bytes += size_of(best);
        }
        listing.models.push_back(std::move(model));
    }
}

}  // namespace lapidary::stores
