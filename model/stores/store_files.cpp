// Every question is asked with an error code: nothing here throws; see store_files.h.
#include "model/stores/store_files.h"

#include <algorithm>

#include "base/describe.h"

namespace lapidary::stores {

namespace fs = std::filesystem;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    return out;
}

bool contains_without_case(std::string_view text, std::string_view part) {
    return lower(text).find(lower(part)) != std::string::npos;
}

bool is_plain_name(std::string_view name) {
    const auto odd = [](char c) { return c == '/' || (c >= 0 && c < ' ') || c == 127; };
    return !name.empty() && name != "." && name != ".." && std::none_of(name.begin(), name.end(), odd);
}

Entries entries_of(const fs::path& folder) {
    constexpr size_t kMost = 100'000;  // of a folder that a program fills with models
    Entries out;
    std::error_code failed;
    for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
        if (out.paths.size() == kMost) {
            out.problem = concat("it holds more than ", kMost, " entries");
            break;
        }
        if (const fs::path& path = entry->path(); path.filename().native().front() != '.') out.paths.push_back(path);
    }
    if (failed && failed != std::errc::no_such_file_or_directory) out.problem = failed.message();
    std::sort(out.paths.begin(), out.paths.end());
    return out;
}

bool is_folder(const fs::path& path) {
    std::error_code ignored;
    return fs::is_directory(path, ignored);
}

uint64_t size_of(const fs::path& file) {
    std::error_code failed;
    const uint64_t size = fs::file_size(file, failed);
    return failed ? 0 : size;
}

std::optional<Error> leads_outside(const fs::path& path, const fs::path& root) {
    std::error_code failed;
    const fs::path real = fs::canonical(path, failed);
    if (failed) {
        std::error_code ignored;
        const bool link = fs::is_symlink(path, ignored), gone = failed == std::errc::no_such_file_or_directory;
        if (link && gone)
            return Error{Errc::model_not_found,
                         concat(in_quotes(path.string()), " is a link to ", in_quotes(fs::read_symlink(path, ignored).string()),
                                ", which is not there"),
                         "fetch the model again"};
        return Error{Errc::model_not_found,
                     gone ? concat("there is no file ", in_quotes(path.string()))
                          : concat("cannot look at ", in_quotes(path.string()), ": ", failed.message()),
                     gone ? "fetch the model again" : "check the permissions of the folders on the way"};
    }
    const fs::path base = fs::canonical(root, failed);
    const auto [in_base, in_real] = std::mismatch(base.begin(), base.end(), real.begin(), real.end());
    if (!failed && in_base == base.end()) return std::nullopt;
    return Error{Errc::bad_model_file,
                 concat(in_quotes(path.string()), " leads out of the folder ", in_quotes(root.string()), ", to ", in_quotes(real.string())),
                 "name that file or folder itself, if it is the model you mean"};
}

}  // namespace lapidary::stores
