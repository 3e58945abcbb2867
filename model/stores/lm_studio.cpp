// Two levels of folders; see lm_studio.h.
#include "model/stores/lm_studio.h"

#include "base/describe.h"
#include "model/stores/model_folder.h"
#include "model/stores/store_files.h"

namespace lapidary::stores {

void list_lm_studio(const std::filesystem::path& root, Listing& listing) {
    const auto look = [&listing](const std::filesystem::path& folder) {
        Entries entries = entries_of(folder);
        if (!entries.problem.empty())
            listing.problems.push_back({Program::lm_studio, folder, concat("cannot read the folder: ", entries.problem), "check its permissions"});
        std::erase_if(entries.paths, [](const auto& path) { return !is_folder(path); });
        return entries.paths;
    };
    for (const auto& publisher : look(root))
        for (const auto& model : look(publisher)) {
            if (entries_of(model).paths.empty()) continue;  // what is left of one that was deleted
            list_folder({Program::lm_studio, root, model, concat(publisher.filename().string(), "/", model.filename().string()), {}}, listing);
        }
}

}  // namespace lapidary::stores
