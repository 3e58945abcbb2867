// One verb's command line: its options, its help, and usage errors in our words. The splitting of the line is
// arguments.h, what other programs call their options is habits.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/arguments.h"
#include "apps/common/help.h"
#include "apps/common/numbers.h"
#include "base/try.h"
#include "lapidary/result.h"

namespace lapidary::cli {

class Command {
  public:
    // Receives what was given to an option, under the name that messages use.
    using Take = std::function<Result<void>(const std::string& option, const std::string& value)>;

    // usage: what follows "lapidary VERB" on the first line of the help.
    Command(std::string verb, std::string usage, std::string summary);
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;

    // Names: "-p,--prompt". Functions later in the list come later in the help.
    template <class T>  // bool, std::atomic<bool>
    void flag(const std::string& names, T& target, const std::string& description);
    void text(const std::string& names, std::optional<std::string>& target, const std::string& metavar,
              const std::string& description);
    void texts(const std::string& names, std::vector<std::string>& target, const std::string& metavar,
               const std::string& description);
    void repeated(const std::string& names, const std::string& metavar, const std::string& description, Take take);
    void choice(const std::string& names, std::string& target, std::vector<std::string> choices,
                const std::string& description);
    template <class T>  // int, uint32_t, std::optional<int>, ...
    void count(const std::string& names, T& target, int64_t low, int64_t high, const std::string& description,
               bool suffix = false);
    template <class T>  // float, std::optional<float>, ...
    void real(const std::string& names, T& target, double low, double high, const std::string& description);
    // `values`: what `take` accepts, where that is a short list; completions offer it.
    void custom(const std::string& names, const std::string& metavar, const std::string& description, Take take,
                std::vector<std::string> values = {});
    // `read(option, text)`: the Result of what `target` becomes.
    template <class T, class Read>
    void parsed(const std::string& names, const std::string& metavar, const std::string& description, T& target,
                Read read, std::vector<std::string> values = {});
    // Names of the contract that this version cannot serve: one clear error, not in the help. `harmless`: the
    // value that asks for what this version does anyway.
    void unavailable(const std::vector<std::string>& names, bool takes_value, Errc code, const std::string& why,
                     const std::string& harmless = {});
    void positionals(std::vector<std::string>& target) {
        positionals_ = &target;
        page_.takes_arguments = true;
    }
    void heading(const std::string& title);  // starts a group in the help

    // False: the help was asked for and stands in page().
    Result<bool> parse(const std::vector<std::string>& args);
    const HelpPage& page() const { return page_; }

  private:
    struct Option {
        std::vector<std::string> names;
        bool takes_value, repeatable;
        Take take;
        const std::string& name() const { return names.back(); }  // messages use the long one
    };
    // The table that both the help and the parser read.
    void add(const std::string& names, bool repeatable, HelpEntry entry, Take take);
    const Option* find(const std::string& name) const;
    Error unexpected(const std::string& argument) const;
    Error unknown(const std::string& name) const;
    std::string guess_of(const std::string& name) const;
    Result<void> assign(const std::vector<std::pair<std::string, std::string>>& given) const;

    HelpPage page_;
    std::vector<Option> options_;
    std::vector<std::string>* positionals_ = nullptr;
    bool help_ = false;
};

template <class T>
void Command::flag(const std::string& names, T& target, const std::string& description) {
    add(names, true, {.description = description}, [&target](const auto&, const auto&) -> Result<void> {
        target = true;
        return {};
    });
}

template <class T>
void Command::count(const std::string& names, T& target, int64_t low, int64_t high, const std::string& description,
                    bool suffix) {
    parsed(names, "N", description, target,
           [=](const auto& option, const auto& text) { return parse_count(option, text, low, high, suffix); });
}

template <class T>
void Command::real(const std::string& names, T& target, double low, double high, const std::string& description) {
    parsed(names, "X", description, target,
           [=](const auto& option, const auto& text) { return parse_real(option, text, low, high); });
}

template <class T, class Read>
void Command::parsed(const std::string& names, const std::string& metavar, const std::string& description, T& target,
                     Read read, std::vector<std::string> values) {
    const auto take = [&target, read](const auto& option, const auto& text) -> Result<void> {
        LAP_ASSIGN(const auto value, read(option, text));
        target = static_cast<T>(value);
        return {};
    };
    custom(names, metavar, description, take, std::move(values));
}

}  // namespace lapidary::cli
