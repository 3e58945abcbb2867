// `lapidary tune`: a GPU's shaders tested and raced ahead of use, in a process that may crash or hang.
#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <span>
#include <stop_token>
#include <vector>
#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/options.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

struct TuneOptions {
    ModelOptions model;
    EngineChoices engine;
    double time_limit = kTestSeconds;
    bool in_process = false;
};

void describe(Command& command, TuneOptions& options, Console& console) {
    command.real("--time-limit", options.time_limit, 0.001, 86400, "seconds for the tests (default 300)");
    command.flag("--in-process", options.in_process, "test in this process, with nothing said: what `tune` itself starts");
    add_output_options(command, console);
    command.heading("Model and machine");
    add_model_options(command, options.model);
    add_engine_options(command, options.engine);
}

// Steps of every width that shaders are made for: tiles of prompts, whole and narrower, and 8 to 1 columns; two of a sampler.
Result<void> compute(const Engine& engine, const std::stop_token& cancel) {
    LAP_ASSIGN(Session session, engine.new_session());
    const auto room = static_cast<int32_t>(engine.info().context);
    for (const int32_t columns : {100, 40, 20, 12, 8, 7, 6, 5, 4, 3, 2, 1}) {
        if (static_cast<int32_t>(session.position()) + columns > room) LAP_TRY(session.rewind(0));
        if (columns > room) continue;
        std::vector<int32_t> ids;
        for (int32_t i = 0; i < columns; ++i) ids.push_back((10 + i) % engine.info().vocab);
        LAP_ASSIGN(const Prompt prompt, engine.tokens(ids));
        LAP_TRY(session.append(prompt));
        const Rows rows = columns <= 8 ? Rows::all : Rows::last;
        LAP_TRY(session.forward({.rows = rows, .cancel = cancel}, [](int64_t, std::span<const float>) { return Flow::go; }));
        if (cancel.stop_requested()) return Error{Errc::cancelled, "interrupted"};
    }
    // The greatest scores: as many as the model's own settings want, and one.
    LAP_TRY(session.rewind(0));
    const std::array first = {10 % engine.info().vocab};
    LAP_ASSIGN(const Prompt prompt, engine.tokens(first));
    LAP_TRY(session.append(prompt));
    GenerateOptions one{.max_tokens = 1, .ignore_eos = true, .cancel = cancel};
    LAP_TRY(session.generate(one));
    one.sampling.temperature = 0.0f;
    LAP_TRY(session.generate(one));
    if (cancel.stop_requested()) return Error{Errc::cancelled, "interrupted"};
    return {};
}

Result<int> report(Console& console, const GpuReport& gpu, const GpuTests& tests) {
    if (console.json)
        console.write_json({{"gpu", gpu.name},
                            {"driver", gpu.driver},
                            {"finished", tests.end == GpuTests::End::done},
                            {"tests", describe(tests)},
                            {"seconds", tests.seconds},
                            {"verdicts", verdicts_json(gpu.verdicts)}});
    else
        console.write_page(fmt::format("{} · {}\ntests    {}\n{}", gpu.name, gpu.driver, describe(tests),
                                       verdicts_text(gpu.verdicts, 0)));
    return tests.end == GpuTests::End::done ? 0 : exit_code(Errc::device_unavailable);
}

}  // namespace

Result<int> tune_verb(Program& program, Args args) {
    Console& console = program.console;
    TuneOptions options;
    Command command("tune", "[MODEL] [options]",
                    "Tests the shaders that MODEL needs on the GPU against the CPU and races their tunings, in a process of its own: "
                    "a driver that crashes or hangs there has given its verdict. What was known before is forgotten. The first "
                    "command that runs a model on a GPU does the same by itself.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    if (options.engine.placement == "auto") options.engine.placement = "gpu";
    LAP_ASSIGN(const Arguments arguments, split_positionals(options.model, false));
    LAP_ASSIGN(const EngineOptions engine, engine_options(console, options.engine, options.model, arguments.model));
    const Interrupt::Scope stoppable(program.interrupt);
    LAP_ASSIGN(const auto gpu, gpu_of(engine));
    if (!gpu) return usage("--placement cpu leaves nothing to tune", "leave it out");
    if (options.in_process) {
        LAP_ASSIGN(const Engine opened, Engine::open(engine));
        LAP_TRY(compute(opened, program.interrupt.token()));
        return 0;
    }
    if (gpu->verdicts.file.empty())
        return Error{Errc::invalid_argument, "there is no folder to keep verdicts in", "set XDG_CACHE_HOME or HOME"};
    std::error_code ignored;
    std::filesystem::remove(gpu->verdicts.file, ignored);  // everything is asked anew: also what crashed, which it may here
    LAP_ASSIGN(const GpuTests tests, run_gpu_tests(program.interrupt, engine, options.time_limit));
    if (tests.end == GpuTests::End::interrupted) return Error{Errc::cancelled, "interrupted"};
    LAP_ASSIGN(const auto after, gpu_of(engine));
    return report(console, after.value_or(*gpu), tests);
}

}  // namespace lapidary::cli
