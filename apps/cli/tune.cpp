// `lapidary tune`: a GPU's shaders tested and raced ahead of use, in a process that may crash or hang; then the machine's rates.
#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>
#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/gpu_tests.h"
#include "apps/common/numbers.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/tables.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

struct TuneOptions {
    ModelOptions model;
    EngineChoices engine;
    double time_limit = kTestSeconds;
    std::string type, shapes = "12b";
    double seconds = 0.5;
    bool in_process = false;
};

void describe(Command& command, TuneOptions& options, Console& console) {
    command.real("--time-limit", options.time_limit, 0.001, 86400, "seconds for the tests (default 300)");
    command.flag("--in-process", options.in_process, "test in this process, with nothing said: what `tune` itself starts");
    add_type_option(command, options.type, "of the layers whose rates are measured: q4_0 (default), q8_0, q4_k, q6_k, bf16, f16");
    command.choice("--shapes", options.shapes, {"12b", "tiny"}, "sizes of these layers (default 12b)");
    command.real("--seconds", options.seconds, 0.001, 60, "of each measurement, of which there are some twenty (default 0.5)");
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
    // The greatest scores: as many as the model's own settings want, and one, among all tokens and among those that a schema allows.
    LAP_TRY(session.rewind(0));
    const std::array first = {10 % engine.info().vocab};
    LAP_ASSIGN(const Prompt prompt, engine.tokens(first));
    LAP_TRY(session.append(prompt));
    for (const bool held : {false, true}) {
        if (held && !engine.info().text) continue;
        GenerateOptions one{.max_tokens = 1, .ignore_eos = !held, .schema = held ? "{}" : "", .cancel = cancel};
        LAP_TRY(session.generate(one));
        one.sampling.temperature = 0.0f;
        LAP_TRY(session.generate(one));
    }
    if (cancel.stop_requested()) return Error{Errc::cancelled, "interrupted"};
    return {};
}

Json to_json(const DeviceRates& r) {
    return {{"read_gbps", r.read_gbps}, {"read_gbps_together", r.read_gbps_together}, {"few_gmacs", r.few_gmacs},
            {"many_gmacs", r.many_gmacs}, {"many_gmacs_together", r.many_gmacs_together}, {"attention_gmacs", r.attention_gmacs},
            {"token_f16_gmacs", r.token_f16_gmacs}, {"token_q8_gmacs", r.token_q8_gmacs}};
}

Json to_json(const RatesReport& r) {
    return {{"power", r.power}, {"time", r.time}, {"file", r.file.string()}, {"cpu", to_json(r.cpu)},
            {"gpu", r.gpu.empty() ? Json(nullptr) : to_json(r.gpu_rates)}, {"handover_us", r.handover_s * 1e6}, {"meeting_us", r.meeting_s * 1e6}};
}

std::string rates_text(const RatesReport& r) {
    Table table({Align::left, Align::right, Align::right, Align::right, Align::right, Align::right, Align::right});
    table.row({"", "GB/s of a token", "GMAC/s of 4", "GMAC/s of a prompt", "behind 8192", "attention of a token", "both at once"});
    const auto row = [&](const std::string& name, const DeviceRates& d) {
        table.row({name, three_digits(d.read_gbps), three_digits(d.few_gmacs), three_digits(d.many_gmacs), three_digits(d.attention_gmacs),
                   three_digits(d.token_f16_gmacs) + ", " + three_digits(d.token_q8_gmacs) + " in q8_0",
                   d.read_gbps_together > 0 ? three_digits(d.read_gbps_together) + " GB/s, " + three_digits(d.many_gmacs_together) : "-"});
    };
    row("CPU", r.cpu);
    if (!r.gpu.empty()) row("GPU", r.gpu_rates);
    return fmt::format("rates    {}{}\n{}", r.power,
                       r.gpu.empty() ? "" : fmt::format(" · {:.0f} µs from one device to the other, {:.0f} µs for a meeting of both", r.handover_s * 1e6, r.meeting_s * 1e6),
                       table.text());
}

// The GPU whose shaders are tested; nothing: only the CPU is measured.
Result<std::optional<GpuReport>> gpu_to_tune(const EngineOptions& engine, bool automatic) {
    const auto gpu = gpu_of(engine);
    if (!gpu && automatic && gpu.error().code == Errc::device_unavailable) return std::optional<GpuReport>();
    return gpu;
}

struct Tested {
    GpuReport gpu;
    GpuTests tests;
};

Result<Tested> test_shaders(Program& program, const EngineOptions& engine, const GpuReport& gpu, double time_limit) {
    if (gpu.verdicts.file.empty())
        return Error{Errc::invalid_argument, "there is no folder to keep verdicts in", "set XDG_CACHE_HOME or HOME"};
    std::error_code ignored;
    std::filesystem::remove(gpu.verdicts.file, ignored);  // everything is asked anew: also what crashed, which it may here
    Tested out;
    EngineOptions tests = engine;
    if (const auto planned = plan({.engine = engine}); planned && !planned->fits) {
        LAP_ASSIGN(tests.model, bundled_model());
        program.console.note(fmt::format("note: {} does not fit on the GPU: the shaders of the bundled model are tested", engine.model.string()));
    }
    LAP_ASSIGN(out.tests, run_gpu_tests(program.interrupt, tests, time_limit));
    if (out.tests.end == GpuTests::End::interrupted) return Error{Errc::cancelled, "interrupted"};
    LAP_ASSIGN(const auto after, gpu_of(engine));
    out.gpu = after.value_or(gpu);
    return out;
}

void report(Console& console, const std::optional<Tested>& tested, const std::optional<RatesReport>& rates) {
    if (console.json) {
        Json json = {{"gpu", nullptr}};
        if (tested)
            json = {{"gpu", tested->gpu.name},
                    {"driver", tested->gpu.driver},
                    {"finished", tested->tests.end == GpuTests::End::done},
                    {"tests", describe(tested->tests)},
                    {"seconds", tested->tests.seconds},
                    {"verdicts", verdicts_json(tested->gpu.verdicts)}};
        if (rates) json["rates"] = to_json(*rates);
        console.write_json(json);
        return;
    }
    std::string page;
    if (tested)
        page = fmt::format("{} · {}\ntests    {}\n{}", tested->gpu.name, tested->gpu.driver, describe(tested->tests),
                           verdicts_text(tested->gpu.verdicts, 0));
    if (rates) page += rates_text(*rates);
    console.write_page(page);
}

}  // namespace

Result<int> tune_verb(Program& program, Args args) {
    Console& console = program.console;
    TuneOptions options;
    Command command("tune", "[MODEL] [options]",
                    "Measures this machine anew. The shaders that MODEL needs on the GPU are tested against the CPU and their tunings "
                    "raced, in a process of its own: a driver that crashes or hangs there has given its verdict. Then the rates of the "
                    "CPU, of the GPU and of both at once, from which `lapidary plan` and --placement auto decide. The first command "
                    "that runs a model on a GPU makes the tests by itself, and never the rates.");
    describe(command, options, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    const bool automatic = options.engine.placement == "auto" && !options.engine.device;
    const bool shared = options.engine.engine.gpu_layers || options.engine.engine.gpu_share;
    if (options.engine.placement == "auto") options.engine.placement = shared ? "split" : "gpu";
    LAP_ASSIGN(const Arguments arguments, split_positionals(options.model, false));
    LAP_ASSIGN(EngineOptions engine, engine_options(console, options.engine, options.model, arguments.model));
    const Interrupt::Scope stoppable(program.interrupt);
    LAP_ASSIGN(const auto gpu, gpu_to_tune(engine, automatic));
    if (options.in_process) {
        LAP_ASSIGN(const Engine opened, Engine::open(engine));
        LAP_TRY(compute(opened, program.interrupt.token()));
        return 0;
    }
    if (!gpu) engine.placement = Placement::cpu;
    std::optional<Tested> tested;
    if (gpu) {
        LAP_ASSIGN(tested, test_shaders(program, engine, *gpu, options.time_limit));
    }
    std::optional<RatesReport> rates;
    const bool usable = !tested || tested->tests.end == GpuTests::End::done;
    if (usable) {
        Progress progress(console, program.interrupt);
        LAP_ASSIGN(rates, calibrate({.engine = engine, .type = options.type.empty() ? "q4_0" : options.type, .preset = options.shapes,
                                     .seconds = options.seconds, .cancel = program.interrupt.token(), .progress = progress.sink()}));
        if (tested) {  // whose steps wanted shaders that MODEL does not
            LAP_ASSIGN(const auto after, gpu_of(engine));
            tested->gpu = after.value_or(tested->gpu);
        }
    }
    report(console, tested, rates);
    return usable ? 0 : exit_code(Errc::device_unavailable);
}

}  // namespace lapidary::cli
