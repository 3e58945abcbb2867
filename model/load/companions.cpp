// Reads the headers of GGUF files; see companions.h.
#include "model/load/companions.h"

#include <algorithm>
#include <cctype>

#include "base/describe.h"
#include "model/load/folder_kind.h"
#include "model/load/gguf_kind.h"
#include "runtime/file/gguf.h"
#include "runtime/memory/mapping.h"

namespace lapidary::model {
namespace {

namespace fs = std::filesystem;

constexpr size_t kListed = 8;  // files that one error names

bool is_named_gguf(const fs::path& path) {
    std::string extension = path.extension().string();
    for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return extension == ".gguf";
}

bool begins_as_gguf(const fs::path& path) {
    const auto mapping = runtime::Mapping::open(path);
    return mapping && (*mapping)->text().substr(0, 4) == "GGUF";
}

// What an error about the file says behind its name.
std::string behind_name(const std::string& message, const fs::path& path) {
    const std::string name = in_quotes(path.string());
    return message.starts_with(name) ? message.substr(name.size()) : concat(": ", message);
}

FolderFile classify(const fs::path& path) {
    const auto other = [&](const Error& error) {
        return FolderFile{path, FileKind::other, behind_name(error.message, path)};
    };
    const auto gguf = runtime::open_gguf(path);
    if (!gguf) return other(gguf.error());
    if (gguf->parts.front().path != path) return {path, FileKind::other, " is a later part of a split model"};
    if (is_projector(*gguf)) return {path, FileKind::projector, ""};
    if (const auto checked = require_text_model(*gguf); !checked) return other(checked.error());
    return {path, FileKind::model, ""};
}

}  // namespace

std::string odd_file_kind(fs::file_type type) {
    switch (type) {
        case fs::file_type::fifo: return "is a named pipe";
        case fs::file_type::socket: return "is a socket";
        case fs::file_type::character:
        case fs::file_type::block: return "is a device";
        case fs::file_type::regular:
        case fs::file_type::directory: return "";
        default: return "is not a regular file";
    }
}

Result<std::vector<FolderFile>> look_into_folder(const fs::path& folder) {
    std::vector<FolderFile> files;
    std::error_code failed;
    for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
        std::error_code ignored;
        const fs::path& path = entry->path();
        if (entry->is_regular_file(ignored) && (is_named_gguf(path) || begins_as_gguf(path)))
            files.push_back(classify(path));
        else if (is_named_gguf(path))
            if (const auto broken = broken_link(path)) files.push_back({path, FileKind::other, behind_name(broken->message, path)});
    }
    if (failed)
        return Error{Errc::model_not_found,
                     concat("cannot read the folder ", in_quotes(folder.string()), ": ", failed.message())};
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return files;
}

std::string list_of(const std::vector<FolderFile>& files) {
    std::string list;
    for (size_t i = 0; i < std::min(files.size(), kListed); i++)
        list += concat(i ? "; " : "", in_quotes(files[i].path.filename().string()), files[i].what);
    if (files.size() > kListed) list += concat("; and ", files.size() - kListed, " more");
    return list;
}

}  // namespace lapidary::model
