// One verb's command line: its options, its help, and usage errors in our words. A thin layer over CLI11,
// which splits the arguments; ranges, repeats, suggestions and the help page are ours.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/numbers.h"
#include "lapidary/result.h"

namespace CLI {  // known to command.cpp only: its headers take seconds to compile
class App;
class Option;
}  // namespace CLI

namespace lapidary::cli {

// "did you mean": the candidate with the fewest edits, empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

class Command {
  public:
    // usage: what follows "lapidary VERB" on the first line of the help.
    Command(std::string verb, std::string usage, std::string summary);
    ~Command();
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;

    // Names in CLI11's form: "-p,--prompt". Functions later in the list come later in the help.
    void flag(const std::string& names, bool& target, const std::string& description);
    void text(const std::string& names, std::optional<std::string>& target, const std::string& metavar,
              const std::string& description);
    void texts(const std::string& names, std::vector<std::string>& target, const std::string& metavar,
               const std::string& description);
    void choice(const std::string& names, std::string& target, std::vector<std::string> choices,
                const std::string& description);
    template <class T>  // int, uint32_t, std::optional<int>, ...
    void count(const std::string& names, T& target, int64_t low, int64_t high, const std::string& description,
               bool suffix = false);
    template <class T>  // float, std::optional<float>, ...
    void real(const std::string& names, T& target, double low, double high, const std::string& description);
    // The value goes through `take`, which may refuse it.
    void custom(const std::string& names, const std::string& metavar, const std::string& description,
                std::function<Result<void>(const std::string& option, const std::string& value)> take);
    // Names of the contract that this version cannot serve: one clear error, not in the help.
    void unavailable(const std::vector<std::string>& names, bool takes_value, Errc code,
                     const std::string& why);
    void positionals(std::vector<std::string>& target);  // at most two
    void heading(const std::string& title);              // starts a group in the help

    // False: the help was asked for and stands in help().
    Result<bool> parse(std::vector<std::string> args);
    std::string help() const;

  private:
    struct Entry {
        std::string title;          // a heading, or
        const CLI::Option* option;  // an option
        std::string metavar;
    };
    struct Refused {
        Error error;
    };
    template <class T>
    static T checked(Result<T> result) {
        if (!result) throw Refused{result.error()};
        return std::move(*result);
    }
    // Registers an option whose values (all of them, in order) go to `take`.
    void values(const std::string& names, const std::string& metavar, const std::string& description,
                std::function<void(const std::vector<std::string>&)> take);
    // As values(), for options that may stand once.
    void value(const std::string& names, const std::string& metavar, const std::string& description,
               std::function<void(const std::string& option, const std::string& value)> take);
    Error unexpected(const std::string& argument) const;

    std::string verb_, usage_, summary_;
    std::unique_ptr<CLI::App> app_;
    std::vector<Entry> entries_;
    bool help_ = false;
};

template <class T>
void Command::count(const std::string& names, T& target, int64_t low, int64_t high,
                    const std::string& description, bool suffix) {
    value(names, "N", description, [&target, low, high, suffix](const auto& option, const auto& text) {
        target = static_cast<T>(checked(parse_count(option, text, low, high, suffix)));
    });
}

template <class T>
void Command::real(const std::string& names, T& target, double low, double high,
                   const std::string& description) {
    value(names, "X", description, [&target, low, high](const auto& option, const auto& text) {
        target = static_cast<T>(static_cast<float>(checked(parse_real(option, text, low, high))));
    });
}

}  // namespace lapidary::cli
