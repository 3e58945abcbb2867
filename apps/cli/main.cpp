// The `lapidary` program: picks the verb, runs it, reports its error. No verb prints an error itself.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <exception>
#include <new>

#include "apps/cli/verbs.h"
#include "apps/common/command.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

std::string overview() {
    std::string page =
        "lapidary VERB [MODEL] [options]\n"
        "Gemma 4 12B (text, pictures, speech) on this computer. Without MODEL: $LAPIDARY_MODEL, then the\n"
        "small bundled model.\n\n";
    for (const Verb& verb : kVerbs) page += fmt::format("  {:<10} {}\n", verb.name, verb.summary);
    page += "\n`lapidary VERB --help` lists a verb's options; `lapidary --version` prints the version.\n";
    return page;
}

Error unknown_verb(const std::string& word) {
    std::vector<std::string> names;
    for (const Verb& verb : kVerbs) names.emplace_back(verb.name);
    const std::string guess = nearest(word, names);
    return {Errc::invalid_argument, fmt::format("there is no verb '{}'", word),
            guess.empty() ? fmt::format("the verbs are {}", fmt::join(names, ", "))
                          : fmt::format("did you mean {}?", guess)};
}

Result<int> dispatch(Program& program, const Args& args) {
    if (args.empty()) {
        program.console.aside(overview() + "\n");
        return exit_code(Errc::invalid_argument);
    }
    if (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
        program.console.write(overview());
        return 0;
    }
    if (args[0] == "--version") {
        program.console.write(fmt::format("lapidary {}\n", version()));
        return 0;
    }
    const auto verb =
        std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& v) { return v.name == args[0]; });
    if (verb == kVerbs.end()) return unknown_verb(args[0]);
    return verb->run(program, Args(args.begin() + 1, args.end()));
}

int run_program(Args args) {
    Program program;
    Console& console = program.console;
    console.json = std::find(args.begin(), args.end(), "--json") != args.end();
    try {
        const Result<int> code = dispatch(program, args);
        if (!code) return console.fail(code.error());
        if (const Result<void> written = console.status(); !written) return console.fail(written.error());
        return *code;
    } catch (const std::bad_alloc&) {
        return console.fail({Errc::out_of_memory, "memory ran out"});
    } catch (const std::exception& problem) {
        return console.fail({Errc::internal, problem.what()});
    }
}

}  // namespace
}  // namespace lapidary::cli

int main(int argc, char** argv) {
    // `lapidary run ... | head -1`: the failed write tells us, and we end in good order.
    signal(SIGPIPE, SIG_IGN);
    // The same for a file size limit: an error to report, not a death.
    signal(SIGXFSZ, SIG_IGN);
    return lapidary::cli::run_program({argv + 1, argv + argc});
}
