// refs/main is a file of another program: what it says is a name of one folder, or nothing; see hugging_face.h.
#include "model/stores/hugging_face.h"

#include <algorithm>
#include <optional>

#include "base/describe.h"
#include "base/try.h"
#include "model/stores/model_folder.h"
#include "model/stores/store_files.h"
#include "runtime/file/json_file.h"

namespace lapidary::stores {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModels = "models--", kBetween = "--";
constexpr uint64_t kMaxRefBytes = 256;

// models--google--gemma-4-12B-it -> google/gemma-4-12B-it; nothing for data sets and what else lies there.
std::optional<std::string> repo_of(const fs::path& folder) {
    std::string name = folder.filename().string();
    if (!name.starts_with(kModels) || name.size() == kModels.size()) return std::nullopt;
    name.erase(0, kModels.size());
    if (const size_t at = name.find(kBetween); at != name.npos && at > 0) name.replace(at, kBetween.size(), "/");
    return name;
}

// Revisions have slashes (refs/pr/1), each part of which is a plain name.
bool is_revision(const std::string& revision) {
    for (size_t begin = 0; begin <= revision.size();) {
        const size_t end = std::min(revision.find('/', begin), revision.size());
        if (!is_plain_name(std::string_view(revision).substr(begin, end - begin))) return false;
        begin = end + 1;
    }
    return true;
}

fs::path newest_of(const fs::path& snapshots) {
    fs::path newest;
    fs::file_time_type latest = {};
    for (const fs::path& path : entries_of(snapshots).paths) {
        std::error_code failed;
        const auto time = fs::last_write_time(path, failed);
        if (failed || !is_folder(path) || (!newest.empty() && time <= latest)) continue;
        newest = path;
        latest = time;
    }
    return newest;
}

// Empty where the repository has no such revision.
Result<fs::path> snapshot_in(const fs::path& repo, const std::string& revision) {
    const fs::path snapshots = repo / "snapshots";
    const std::string wanted = revision.empty() ? "main" : revision;
    if (!is_revision(wanted)) return fs::path();
    const fs::path ref = repo / "refs" / wanted;
    std::error_code ignored;
    if (!fs::exists(fs::symlink_status(ref, ignored))) {
        if (revision.empty()) return newest_of(snapshots);
        return is_plain_name(revision) && is_folder(snapshots / revision) ? snapshots / revision : fs::path();
    }
    if (const auto outside = leads_outside(ref, repo)) return *outside;
    LAP_ASSIGN(std::string commit, runtime::read_text_file(ref, kMaxRefBytes));
    commit.erase(commit.find_last_not_of(" \t\r\n") + 1);
    if (!is_plain_name(commit))
        return Error{Errc::bad_model_file, concat(in_quotes(ref.string()), " holds ", in_quotes(commit), ", no name of a snapshot"),
                     "fetch the model again"};
    if (is_folder(snapshots / commit)) return snapshots / commit;
    return Error{Errc::model_not_found,
                 concat(in_quotes(ref.string()), " names the snapshot ", in_quotes(commit), ", which is not there"), "fetch the model again"};
}

// That files of the repository are still on their way.
std::string download_of(const fs::path& repo) {
    size_t count = 0;
    std::string first;
    for (const fs::path& path : entries_of(repo / "blobs").paths)
        if (path.extension() == ".incomplete" && count++ == 0) first = path.string();
    return count == 0 ? "" : concat("a download is under way or broke off: ", in_quotes(first), count > 1 ? concat(" and ", count - 1, " more") : "");
}

}  // namespace

void list_hugging_face(const fs::path& root, const std::string& revision, Listing& listing) {
    const Entries entries = entries_of(root);
    if (!entries.problem.empty())
        listing.problems.push_back({Program::hugging_face, root, concat("cannot read the folder: ", entries.problem), "check its permissions"});
    for (const fs::path& path : entries.paths) {
        const auto repo = repo_of(path);
        if (!repo || !is_folder(path)) continue;
        NamedFolder what{Program::hugging_face, root, {}, *repo, download_of(path)};
        if (!revision.empty()) what.repo += "@" + revision;
        auto snapshot = snapshot_in(path, revision);
        if (snapshot && snapshot->empty() && !revision.empty()) continue;
        if (snapshot && snapshot->empty())
            snapshot = Error{Errc::model_not_found, concat(in_quotes(path.string()), " holds no snapshot yet"),
                             "let the download finish, or fetch the model again"};
        if (snapshot)
            if (const auto outside = leads_outside(*snapshot, root)) snapshot = *outside;
        if (snapshot) {
            what.folder = *snapshot;
            list_folder(what, listing);
            continue;
        }
        StoredModel broken;
        broken.program = Program::hugging_face;
        broken.name = prefix_of(Program::hugging_face) + what.repo;
        broken.words = {what.repo, what.repo.substr(what.repo.find('/') + 1)};
        broken.download = what.download;
        broken.problem = snapshot.error();
        listing.models.push_back(std::move(broken));
    }
}

}  // namespace lapidary::stores
