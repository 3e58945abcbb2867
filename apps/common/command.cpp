// Option tables and usage errors; see command.h.
#include "apps/common/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "apps/common/habits.h"
#include "base/try.h"

namespace lapidary::cli {

Command::Command(std::string verb, std::string usage, std::string summary)
    : page_{std::move(verb), std::move(usage), std::move(summary), {}} {}

void Command::add(const std::string& names, bool repeatable, HelpEntry entry, Take take) {
    for (const std::string_view name : split(names, ',')) entry.names.emplace_back(name);
    options_.push_back({entry.names, !entry.metavar.empty(), repeatable, std::move(take)});
    page_.entries.push_back(std::move(entry));
}

void Command::text(const std::string& names, std::optional<std::string>& target, const std::string& metavar,
                   const std::string& description) {
    custom(names, metavar, description, [&target](const auto&, const auto& given) -> Result<void> {
        target = given;
        return {};
    });
}

void Command::texts(const std::string& names, std::vector<std::string>& target, const std::string& metavar,
                    const std::string& description) {
    repeated(names, metavar, description, [&target](const auto&, const auto& given) -> Result<void> {
        target.push_back(given);
        return {};
    });
}

void Command::repeated(const std::string& names, const std::string& metavar, const std::string& description,
                       Take take) {
    add(names, true, {.metavar = metavar, .description = description, .repeatable = true}, std::move(take));
}

void Command::choice(const std::string& names, std::string& target, std::vector<std::string> choices,
                     const std::string& description) {
    const std::string allowed = fmt::format("{}", fmt::join(choices, "|"));
    const auto take = [&target, choices, allowed](const auto& option, const auto& given) -> Result<void> {
        if (std::find(choices.begin(), choices.end(), given) == choices.end())
            return usage(fmt::format("{} is '{}', allowed are {}", option, given, allowed));
        target = given;
        return {};
    };
    custom(names, allowed, description, take, choices);
}

void Command::custom(const std::string& names, const std::string& metavar, const std::string& description, Take take,
                     std::vector<std::string> values) {
    add(names, false, {.metavar = metavar, .description = description, .values = std::move(values)}, std::move(take));
}

void Command::unavailable(const std::vector<std::string>& names, bool takes_value, Errc code, const std::string& why,
                          const std::string& harmless) {
    for (const std::string& name : names)
        options_.push_back({{name}, takes_value, true, [=](const auto&, const auto& value) -> Result<void> {
                                if (!harmless.empty() && value == harmless) return {};
                                return Error{code, fmt::format("{} is not available in this version", name), why};
                            }});
}

void Command::heading(const std::string& title) { page_.entries.push_back({.title = title}); }

const Command::Option* Command::find(const std::string& name) const {
    const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& option) {
        return std::find(option.names.begin(), option.names.end(), name) != option.names.end();
    });
    if (found != options_.end()) return &*found;
    const OptionHabit* habit = find_option_habit(name);
    return habit != nullptr && !habit->ours.empty() ? find(std::string(habit->ours)) : nullptr;
}

Error Command::unexpected(const std::string& argument) const {
    return usage(fmt::format("unexpected argument '{}'", argument), "usage: " + usage_line(page_));
}

Error Command::unknown(const std::string& name) const {
    const std::string message = fmt::format("unknown option {}", name);
    if (const OptionHabit* habit = find_option_habit(name); habit != nullptr)
        return usage(message, habit->ours.empty() ? std::string(habit->hint)
                                                  : fmt::format("`lapidary {}` has no {}", page_.verb, habit->ours));
    const Option* letter = name.size() > 2 && name[1] != '-' ? find(name.substr(0, 2)) : nullptr;
    if (letter != nullptr && letter->takes_value)
        return usage(message, fmt::format("a blank stands between {0} and a text: {0} {1}", name.substr(0, 2), name.substr(2)));
    const std::string guess = guess_of(name);
    return usage(message, guess.empty() ? fmt::format("`lapidary {} --help` lists the options", page_.verb)
                                        : fmt::format("did you mean {}?", guess));
}

// The option whose name, or whose name elsewhere, is near.
std::string Command::guess_of(const std::string& name) const {
    std::vector<std::string> known;
    for (const Option& option : options_) known.push_back(option.name());
    for (const std::string_view other : names_elsewhere())
        if (find(std::string(other)) != nullptr) known.emplace_back(other);
    const std::string guess = nearest(name.starts_with("--") ? name : '-' + name, known);
    return guess.empty() ? guess : find(guess)->name();
}

Result<void> Command::assign(const std::vector<std::pair<std::string, std::string>>& given) const {
    std::map<const Option*, int> times;
    for (const auto& [name, value] : given) ++times[find(name)];
    for (const auto& [name, value] : given) {
        const Option* option = find(name);
        if (!option->repeatable && times[option] > 1)
            return usage(fmt::format("{} was given {} times", option->name(), times[option]));
        LAP_TRY(option->take(option->name(), value));
    }
    return {};
}

Result<bool> Command::parse(const std::vector<std::string>& args) {
    flag("-h,--help", help_, "this page");
    if (args.size() == 1 && args[0] == "help") return false;
    const SplitLine line = split_line(args, [this](const std::string& name) -> std::optional<bool> {
        const Option* option = find(name);
        return option != nullptr ? std::optional(option->takes_value) : std::nullopt;
    });
    for (const auto& [name, value] : line.options)
        if (find(name)->name() == "--help") return false;
    // First, so that every error comes in the form that was asked for.
    for (const auto& [name, value] : line.options)
        if (find(name)->name() == "--json") LAP_TRY(find(name)->take(name, value));
    if (!line.unknown.empty()) return unknown(line.unknown);
    LAP_TRY(assign(line.options));
    if (!line.unvalued.empty()) return usage(fmt::format("{} needs a value", line.unvalued));
    if (!line.overvalued.empty()) return usage(fmt::format("{} takes no value", line.overvalued));
    if (positionals_ != nullptr) *positionals_ = line.positionals;
    else if (!line.positionals.empty()) return unexpected(line.positionals[0]);
    return true;
}

}  // namespace lapidary::cli
