// Names that are no files; see media_names.h.
#include "apps/common/media_names.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/try.h"

namespace lapidary::cli {
namespace {

namespace fs = std::filesystem;

Error usage(std::string message, std::string hint) {
    return {Errc::invalid_argument, std::move(message), std::move(hint)};
}

Result<void> check_name(const std::string& name) {
    constexpr size_t kShown = 40;  // of what may be a whole picture
    std::error_code ignored;
    if (name == "-")
        return usage("pictures and recordings are not read from standard input (-)",
                     "write it to a file, and name that");
    if (name.starts_with("file://"))
        return usage(fmt::format("{} is a URL, not the name of a file", name),
                     fmt::format("give {}", name.substr(std::string_view("file://").size())));
    if (name.starts_with("http://") || name.starts_with("https://"))
        return usage(fmt::format("{} is a URL, and nothing is downloaded here", name),
                     "fetch the file and give its path");
    if (name.starts_with("data:"))
        return usage(fmt::format("{}{} holds the data itself, not the name of a file", name.substr(0, kShown),
                                 name.size() > kShown ? "..." : ""),
                     "write it to a file, and name that");
    if (fs::is_fifo(name, ignored))
        return Error{Errc::io_error, fmt::format("cannot read {}: it is a pipe", name),
                     "pictures and recordings are read from regular files"};
    return {};
}

}  // namespace

Result<void> check_media_names(std::span<const Part> parts) {
    for (const Part& part : parts)
        if (!part.path.empty()) LAP_TRY(check_name(part.path.string()));
    return {};
}

}  // namespace lapidary::cli
