// Option tables, help pages and usage errors; see command.h.
#include "apps/common/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>

namespace lapidary::cli {
namespace {

// Levenshtein distance, one row at a time.
size_t edits(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

// "-p,--prompt" -> "--prompt": the name that messages use.
std::string spoken_name(const std::string& names) { return names.substr(names.rfind(',') + 1); }

constexpr size_t kNameColumn = 30;  // width of "  -p, --prompt TEXT" in the help

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    const auto best =
        std::min_element(candidates.begin(), candidates.end(),
                         [&](const auto& a, const auto& b) { return edits(word, a) < edits(word, b); });
    const size_t limit = std::max<size_t>(1, std::min<size_t>(3, word.size() / 3));
    return best != candidates.end() && edits(word, *best) <= limit ? *best : std::string();
}

Command::Command(std::string verb, std::string usage, std::string summary)
    : verb_(std::move(verb)),
      usage_(std::move(usage)),
      summary_(std::move(summary)),
      app_(std::make_unique<CLI::App>()) {
    app_->set_help_flag();
    app_->allow_extras();
}

Command::~Command() = default;

void Command::values(const std::string& names, const std::string& metavar, const std::string& description,
                     std::function<void(const std::vector<std::string>&)> take) {
    CLI::Option* option = app_->add_option(
        names,
        // Its own copy of the values would have "%%" after a lone "{}" (CLI11 2.4).
        [this, name = spoken_name(names), take = std::move(take)](const CLI::results_t&) {
            take(app_->get_option(name)->results());
            return true;
        },
        description);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    entries_.push_back({{}, option, metavar});
}

void Command::value(const std::string& names, const std::string& metavar, const std::string& description,
                    std::function<void(const std::string&, const std::string&)> take) {
    const std::string name = spoken_name(names);
    values(names, metavar, description,
           [name, take = std::move(take)](const std::vector<std::string>& given) {
               if (given.size() > 1)
                   throw Refused{
                       {Errc::invalid_argument, fmt::format("{} was given {} times", name, given.size())}};
               take(name, given.front());
           });
}

void Command::flag(const std::string& names, bool& target, const std::string& description) {
    entries_.push_back({{},
                        app_->add_flag_callback(
                            names, [&target] { target = true; }, description),
                        {}});
}

void Command::text(const std::string& names, std::optional<std::string>& target, const std::string& metavar,
                   const std::string& description) {
    value(names, metavar, description, [&target](const auto&, const auto& given) { target = given; });
}

void Command::texts(const std::string& names, std::vector<std::string>& target, const std::string& metavar,
                    const std::string& description) {
    values(names, metavar, description, [&target](const auto& given) { target = given; });
}

void Command::choice(const std::string& names, std::string& target, std::vector<std::string> choices,
                     const std::string& description) {
    const std::string allowed = fmt::format("{}", fmt::join(choices, "|"));
    value(names, allowed, description, [&target, choices, allowed](const auto& option, const auto& given) {
        if (std::find(choices.begin(), choices.end(), given) == choices.end())
            throw Refused{
                {Errc::invalid_argument, fmt::format("{} is '{}', allowed are {}", option, given, allowed)}};
        target = given;
    });
}

void Command::custom(const std::string& names, const std::string& metavar, const std::string& description,
                     std::function<Result<void>(const std::string&, const std::string&)> take) {
    value(names, metavar, description, [take = std::move(take)](const auto& option, const auto& given) {
        if (Result<void> taken = take(option, given); !taken) throw Refused{taken.error()};
    });
}

void Command::unavailable(const std::vector<std::string>& names, bool takes_value, Errc code,
                          const std::string& why) {
    for (const std::string& name : names) {
        const auto refuse = [name, code, why] {
            throw Refused{{code, fmt::format("{} is not available in this version", name), why}};
        };
        if (takes_value)
            app_->add_option(name, [refuse](const CLI::results_t&) -> bool {
                refuse();
                return false;
            });
        else
            app_->add_flag_callback(name, refuse);
    }
}

void Command::positionals(std::vector<std::string>& target) {
    // Two single ones: CLI11 would split a text like "[a,b]" for an option that takes several.
    for (const char* name : {"FIRST", "SECOND"})
        app_->add_option(name, [&target](const CLI::results_t& given) {
            target.push_back(given.front());
            return true;
        });
}

void Command::heading(const std::string& title) { entries_.push_back({title, nullptr, {}}); }

Error Command::unexpected(const std::string& argument) const {
    if (argument.size() < 2 || argument[0] != '-')
        return {Errc::invalid_argument, fmt::format("unexpected argument '{}'", argument),
                fmt::format("usage: lapidary {} {}", verb_, usage_)};
    std::vector<std::string> known;
    for (const CLI::Option* option : app_->get_options())
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    const std::string word = argument.substr(0, argument.find('='));
    const std::string guess = nearest(word, known);
    return {Errc::invalid_argument, fmt::format("unknown option {}", word),
            guess.empty() ? fmt::format("`lapidary {} --help` lists the options", verb_)
                          : fmt::format("did you mean {}?", guess)};
}

Result<bool> Command::parse(std::vector<std::string> args) {
    flag("-h,--help", help_, "this page");
    if (std::find_if(args.begin(), args.end(), [](const auto& a) { return a == "--help" || a == "-h"; }) !=
        args.end())
        return false;
    std::reverse(args.begin(), args.end());  // CLI11 reads its vector from the back
    try {
        app_->parse(std::move(args));
        if (!app_->remaining().empty()) return unexpected(app_->remaining().front());
        return true;
    } catch (const Refused& refused) {
        return refused.error;
    } catch (const CLI::ArgumentMismatch& mismatch) {
        const std::string what = mismatch.what();
        return Error{Errc::invalid_argument, fmt::format("{} needs a value", what.substr(0, what.find(':')))};
    } catch (const CLI::ParseError& problem) {
        return Error{Errc::invalid_argument, problem.what()};
    }
}

std::string Command::help() const {
    std::string page = fmt::format("lapidary {} {}\n{}\n", verb_, usage_, summary_);
    for (const Entry& entry : entries_) {
        if (entry.option == nullptr) {
            page += fmt::format("\n{}\n", entry.title);
            continue;
        }
        std::string names;
        for (const std::string& name : entry.option->get_snames()) names += fmt::format("-{}, ", name);
        for (const std::string& name : entry.option->get_lnames()) names += fmt::format("--{}, ", name);
        names.resize(names.size() - 2);
        if (!entry.metavar.empty()) names += " " + entry.metavar;
        page += fmt::format("  {:<{}} {}\n", names, kNameColumn, entry.option->get_description());
    }
    return page;
}

}  // namespace lapidary::cli
