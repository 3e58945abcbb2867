// See completion.h.
#include "apps/chat/completion.h"

#include <algorithm>
#include <filesystem>

#include "apps/chat/commands.h"
#include "apps/chat/settings.h"
#include "base/utf8.h"

namespace lapidary::cli {
namespace {

namespace fs = std::filesystem;

void offer(Completions& out, std::string_view typed, std::string_view word) {
    out.typed = typed.size();
    if (word.starts_with(typed)) out.words.emplace_back(word);
}

// Names of files are offered as they stand in their folder, hidden ones where a dot was typed.
Completions files(std::string_view typed) {
    Completions out;
    const size_t slash = typed.rfind('/');
    const std::string_view folder = slash == typed.npos ? std::string_view() : typed.substr(0, slash + 1);
    const std::string_view name = typed.substr(folder.size());
    out.typed = name.size();
    std::error_code failed;
    const fs::path place = folder.empty() ? fs::path(".") : fs::path(path_of(folder));
    for (auto entry = fs::directory_iterator(place, failed); !failed && entry != fs::directory_iterator(); entry.increment(failed)) {
        std::string found = entry->path().filename().string();
        std::error_code ignored;
        if (found.starts_with('.') && name.empty()) continue;
        if (fs::is_directory(entry->path(), ignored)) found += '/';
        offer(out, name, found);
    }
    return out;
}

}  // namespace

std::string Completions::common() const {
    if (words.empty()) return {};
    std::string_view shared = words.front();
    for (const std::string& word : words) {
        const auto parts = std::mismatch(shared.begin(), shared.end(), word.begin(), word.end());
        shared = shared.substr(0, static_cast<size_t>(parts.first - shared.begin()));
    }
    while (!shared.empty() && !valid_utf8(shared) && valid_utf8(words.front())) shared.remove_suffix(1);  // no half of a character
    return std::string(shared.substr(std::min(typed, shared.size())));
}

Completions complete(std::string_view before) {
    Completions out;
    if (!before.starts_with('/')) return out;
    before.remove_prefix(1);
    const size_t blank = before.find(' ');
    if (blank == before.npos) {
        for (const CommandForm& form : kChatCommands)
            if (form.listed) offer(out, before, std::string(form.name) + (form.argument == Argument::none ? "" : " "));
    } else {
        const std::string_view name = before.substr(0, blank), argument = before.substr(blank + 1);
        const auto* form = std::find_if(kChatCommands.begin(), kChatCommands.end(), [&](const CommandForm& f) { return f.name == name; });
        if (form == kChatCommands.end()) return out;
        if (form->argument == Argument::path) out = files(argument);
        if (form->argument == Argument::setting)
            for (const std::string_view setting : setting_names()) offer(out, argument, std::string(setting) + " ");
        if (form->argument == Argument::think)
            for (const std::string_view word : {"on", "off", "show", "hide"}) offer(out, argument, word);
    }
    std::sort(out.words.begin(), out.words.end());
    return out;
}

}  // namespace lapidary::cli
