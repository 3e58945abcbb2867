// The `lapidary` program: picks the verb, runs it, reports its error. No verb prints an error itself.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/arguments.h"
#include "apps/common/habits.h"
#include "apps/common/lost_file.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

const Verb* find_verb(std::string_view name) {
    const auto* verb = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& v) { return v.name == name; });
    return verb != kVerbs.end() ? verb : nullptr;
}

Error unknown_verb(const std::string& word) {
    std::error_code ignored;
    if (word.starts_with("-")) return usage(fmt::format("{} stands before the verb", word), "lapidary VERB [MODEL] [options]");
    const std::string none = fmt::format("there is no verb '{}'", word);
    if (const VerbHabit* habit = find_verb_habit(word); habit != nullptr)
        return usage(habit->later ? fmt::format("the verb {} is not in this version", word) : none, std::string(habit->hint));
    if (std::filesystem::exists(word, ignored))
        return usage(fmt::format("the verb is missing before {}", word), fmt::format("lapidary run {} TEXT", word));
    std::vector<std::string> names;
    for (const Verb& verb : kVerbs) names.emplace_back(verb.name);
    const std::string guess = nearest(word, names);
    return usage(none, guess.empty() ? fmt::format("the verbs are {}", fmt::join(names, ", "))
                                     : fmt::format("did you mean {}?", guess));
}

Result<int> dispatch(Program& program, Args args) {
    Console& console = program.console;
    if (args.empty()) {
        console.aside(overview(console.help_width()) + "\n");
        return exit_code(Errc::invalid_argument);
    }
    // A verb finds out for itself; without one this is all that can be known.
    const auto options_end = std::find(args.begin(), args.end(), "--");
    const bool json = std::find(args.begin(), options_end, "--json") != options_end;
    // `help VERB` is `VERB --help`.
    const bool help = args[0] == "help" || args[0] == "--help" || args[0] == "-h";
    if (help && args.size() > 1 && args[1] != "help") args = {args[1], "--help"};
    else if (help) return console.write(overview(console.help_width())), 0;
    if (args[0] == "--version" || args[0] == "-V" || args[0] == "version") {
        if (json) console.write_json({{"version", version()}});
        else console.write(fmt::format("lapidary {}\n", version()));
        return 0;
    }
    const Verb* verb = find_verb(args[0]);
    if (verb == nullptr) {
        console.json = json;
        return unknown_verb(args[0]);
    }
    return verb->run(program, Args(args.begin() + 1, args.end()));
}

// A standard descriptor that is closed would be the number of the next thing opened, and answers would go there. What is put
// in its place is at its end at once, and fails to be written as a closed one does.
void fill_closed_descriptors() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(fd, F_GETFD) < 0) open("/dev/null", O_RDONLY);  // gets the lowest number that is free
}

int run_program(Args args) {
    Program program;
    Console& console = program.console;
    report_lost_files(console.json);
    try {
        const Result<int> code = dispatch(program, args);
        if (!code) {
            const int exit = console.fail(code.error());
            return exit == exit_code(Errc::cancelled) ? program.interrupt.exit_code() : exit;
        }
        if (const Result<void> written = console.status(); !written) return console.fail(written.error());
        return *code;
    } catch (const std::bad_alloc&) {
        return console.fail({Errc::out_of_memory, "memory ran out"});
    } catch (const std::exception& problem) {
        return console.fail({Errc::internal, problem.what()});
    }
}

}  // namespace

std::string overview(size_t width) {
    std::string page = "lapidary VERB [MODEL] [options]\n" +
                       wrapped("Gemma 4 12B (text, pictures, speech, video) on this computer. Without MODEL: "
                               "$LAPIDARY_MODEL, then the small bundled model.",
                               width, 0, 0) +
                       "\n\n";
    for (const Verb& verb : kVerbs) page += fmt::format("  {:<11} {}\n", verb.name, wrapped(verb.summary, width, 14, 14));
    page += "\n" + wrapped("`lapidary VERB --help` lists a verb's options; `lapidary --version` prints the version.",
                           width, 0, 0) + "\n";
    return page;
}

int Program::show(const HelpPage& page) {
    if (take_help) take_help(page);
    else console.write(help_text(page, console.help_width()));
    return 0;
}

}  // namespace lapidary::cli

int main(int argc, char** argv) {
    lapidary::cli::fill_closed_descriptors();
    // `lapidary run ... | head -1`: the failed write tells us, and we end in good order.
    signal(SIGPIPE, SIG_IGN);
    // The same for a file size limit: an error to report, not a death.
    signal(SIGXFSZ, SIG_IGN);
    return lapidary::cli::run_program({argv + 1, argv + argc});
}
