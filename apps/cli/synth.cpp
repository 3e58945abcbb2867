// `lapidary synth`: writes a model of random weights with the exact shapes of a real one.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/results.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

// Size of a file, or of all files of a folder.
uint64_t size_on_disk(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    std::error_code problem;
    if (!fs::is_directory(path, problem)) return fs::file_size(path, problem);
    uint64_t bytes = 0;
    for (const auto& entry : fs::recursive_directory_iterator(path, problem))
        if (entry.is_regular_file(problem)) bytes += entry.file_size(problem);
    return bytes;
}

// Random weights can be made again; this stands in the first keys of every GGUF file that synth() writes.
bool is_synthetic_gguf(const std::filesystem::path& path) {
    const std::string begin = beginning_of(path, 1024);
    return begin.starts_with("GGUF") && begin.find("random weights, written by lapidary synth") != begin.npos;
}

// A file may replace a file; a folder, which may hold anything, replaces nothing.
Result<void> check_out(const SynthOptions& options, bool force) {
    if (options.format == "gguf" || options.out == "-") LAP_TRY(check_target(options.out));
    std::error_code ignored;
    const bool taken = std::filesystem::is_regular_file(options.out, ignored);
    if (options.format == "hf" && taken)
        return usage(fmt::format("{} exists and is a file", options.out.string()),
                     "remove it first, or give another name for the folder");
    return check_overwrite(options.out, {"a synthetic model", is_synthetic_gguf}, force);
}

}  // namespace

Result<int> synth_verb(Program& program, Args args) {
    Console& console = program.console;
    SynthOptions options;
    std::string type;  // empty: what suits the format
    bool force = false;
    std::vector<std::string> positionals;
    Command command("synth", "OUT [options]", "Writes a model of random weights; OUT is whole or absent.");
    command.positionals(positionals);
    command.choice("--preset", options.preset, {"12b", "tiny"}, "shapes (default 12b)");
    add_type_option(command, type, "q4_0, q8_0, q4_k, q6_k, bf16 or f16 (default q4_0; of a folder bf16)");
    command.choice("--format", options.format, {"gguf", "hf"}, "one file, or a Hugging Face folder");
    command.count("--layers", options.layers, 1, 1000, "fewer or more layers than the preset has");
    command.flag("--force", force, "write over a file that is no synthetic model");
    add_output_options(command, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    if (positionals.empty()) return usage("OUT is missing", "name the file to write");
    if (positionals.size() > 1) return usage(fmt::format("unexpected argument '{}'", positionals[1]));
    options.out = positionals[0];
    if (type.empty()) type = options.format == "hf" ? "bf16" : "q4_0";
    options.type = type;
    LAP_TRY(check_out(options, force));

    const Interrupt::Scope stoppable(program.interrupt);
    Progress progress(console, program.interrupt);
    options.progress = progress.sink();
    LAP_TRY(synth(options));
    progress.clear();
    const uint64_t bytes = size_on_disk(options.out);
    if (console.json)
        console.write_json({{"out", options.out.string()},
                            {"preset", options.preset},
                            {"type", options.type},
                            {"format", options.format},
                            {"bytes", bytes}});
    else
        console.write_page(fmt::format("{}: {} {} {}, {}\n", options.out.string(), options.preset, options.type,
                                  options.format, human_bytes(bytes)));
    return 0;
}

}  // namespace lapidary::cli
