// See commands.h.
#include "apps/chat/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "apps/common/arguments.h"
#include "apps/common/help.h"
#include "apps/common/tables.h"

namespace lapidary::cli {
namespace {

std::string_view trimmed(std::string_view text) {
    const size_t begin = std::min(text.find_first_not_of(" \t\n"), text.size());
    return text.substr(begin, text.find_last_not_of(" \t\n") + 1 - begin);
}

Error unknown_command(std::string_view name) {
    std::vector<std::string> names;
    for (const CommandForm& form : kChatCommands) names.emplace_back(form.name);
    const std::string guess = nearest(name, names);
    return usage(fmt::format("there is no command /{}", name),
                 guess.empty() ? "/help lists them; a blank in front of the slash sends the line as it is"
                               : fmt::format("did you mean /{}?", guess));
}

}  // namespace

std::string path_of(std::string_view word) {
    const bool quoted = word.size() > 1 && (word.front() == '\'' || word.front() == '"') && word.back() == word.front();
    if (quoted) word = word.substr(1, word.size() - 2);
    const char* home = std::getenv("HOME");
    if (word.starts_with("~/") && home != nullptr) return home + std::string(word.substr(1));
    return std::string(word);
}

Result<Order> read_order(std::string_view line) {
    line.remove_prefix(1);
    const std::string_view name = line.substr(0, line.find_first_of(" \t\n"));
    const std::string_view argument = trimmed(line.substr(name.size()));
    const auto* form = std::find_if(kChatCommands.begin(), kChatCommands.end(), [&](const CommandForm& f) { return f.name == name; });
    if (form == kChatCommands.end()) return unknown_command(name);
    if (form->argument == Argument::none && !argument.empty())
        return usage(fmt::format("/{} takes nothing, and '{}' was given", name, argument), fmt::format("/{} alone", name));
    if (form->argument == Argument::path && argument.empty())
        return usage(fmt::format("/{} needs the name of a file", name), fmt::format("/{} FILE", name));
    return Order{form->command, form->argument == Argument::path ? path_of(argument) : std::string(argument)};
}

std::string commands_page(size_t width) {
    std::string page;
    for (const CommandForm& form : kChatCommands)
        if (form.listed)
            page += fmt::format("  /{:<26} {}\n", fmt::format("{} {}", form.name, form.metavar), wrapped(form.help, width, 30, 30));
    return page + "\n" +
           wrapped("\"\"\" begins and ends a text of several lines; a backslash at the end of a line goes on in the next one. Tab completes "
                   "commands and files. Ctrl-C stops an answer, and leaves where nothing was typed; Ctrl-D leaves.", width, 0, 0) + "\n";
}

}  // namespace lapidary::cli
