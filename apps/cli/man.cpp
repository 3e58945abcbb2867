// `lapidary man` and `lapidary completions SHELL`: the manual page and the completions of the shells, made of the
// same tables as every `--help`. The build runs both, so that they can be installed.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/command.h"
#include "apps/common/completions.h"
#include "apps/common/manual.h"
#include "apps/common/options.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

// The help of every verb, as its own --help hands it out.
Result<std::vector<HelpPage>> all_pages(Program& program) {
    std::vector<HelpPage> pages;
    const auto before = std::exchange(program.take_help, [&pages](const HelpPage& page) { pages.push_back(page); });
    for (const Verb& verb : kVerbs) LAP_TRY(verb.run(program, {"--help"}));
    program.take_help = before;
    return pages;
}

std::vector<VerbSummary> summaries() {
    std::vector<VerbSummary> list;
    for (const Verb& verb : kVerbs) list.push_back({std::string(verb.name), std::string(verb.summary)});
    return list;
}

int print(Console& console, const std::string& text) {
    if (console.json) console.write_json({{"text", text}});
    else console.write(text);
    return 0;
}

}  // namespace

Result<int> man_verb(Program& program, Args args) {
    Command command("man", "", "Prints the manual page in roff: lapidary man | man -l -");
    add_output_options(command, program.console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(const std::vector<HelpPage> pages, all_pages(program));
    return print(program.console, manual_page(summaries(), pages, version()));
}

Result<int> completions_verb(Program& program, Args args) {
    std::vector<std::string> positionals;
    Command command("completions", "bash|zsh|fish",
                    "Prints what a shell needs to complete lines. bash: source <(lapidary completions bash); zsh: a "
                    "file _lapidary in a folder of $fpath; fish: lapidary completions fish | source");
    command.positionals(positionals);
    add_output_options(command, program.console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    const std::string shell = positionals.size() == 1 ? positionals[0] : "";
    const auto script = completions_of(shell);
    if (script == nullptr) return usage("name one shell", "lapidary completions bash|zsh|fish");
    LAP_ASSIGN(const std::vector<HelpPage> pages, all_pages(program));
    return print(program.console, script(summaries(), pages));
}

}  // namespace lapidary::cli
