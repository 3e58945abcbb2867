// The child process, and words on verdicts; see gpu_tests.h.
#include "apps/common/gpu_tests.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/common/options.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr auto kLook = std::chrono::milliseconds(5);
constexpr auto kGrace = std::chrono::seconds(5);  // for a process that is asked to end: it may be amid a test

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string placement_name(const EngineOptions& engine) {
    const bool shared = engine.gpu_layers || engine.gpu_share || engine.placement == Placement::split;
    return shared ? "split" : engine.placement == Placement::phases ? "phases" : "gpu";
}

std::vector<std::string> arguments(const EngineOptions& engine) {
    std::vector<std::string> out = {"lapidary", "tune", "--in-process", "--quiet", "--placement", placement_name(engine), "--model", engine.model.string()};
    if (engine.gpu_layers) out.insert(out.end(), {"--gpu-layers", std::to_string(*engine.gpu_layers)});
    if (engine.gpu_share) out.insert(out.end(), {"--split", fmt::format("{}", *engine.gpu_share)});
    if (engine.memory_bytes) out.insert(out.end(), {"--memory", std::to_string(*engine.memory_bytes)});
    if (engine.kv) out.insert(out.end(), {"--kv", kv_name(*engine.kv)});
    if (!engine.device.empty()) out.insert(out.end(), {"--device", engine.device});
    if (engine.context > 0) out.insert(out.end(), {"--ctx", std::to_string(engine.context)});
    if (engine.precise) out.emplace_back("--precise");
    return out;
}

Result<pid_t> spawn(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    // A group of its own: Ctrl-C reaches it once, from here, and never amid a test.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    pid_t child = 0;
    const int problem = posix_spawn(&child, "/proc/self/exe", &files, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (problem != 0) return Error{Errc::io_error, fmt::format("no process to test the GPU in: {}", std::strerror(problem))};
    return child;
}

}  // namespace

Result<GpuTests> run_gpu_tests(const Interrupt& interrupt, const EngineOptions& engine, double time_limit) {
    const auto start = Clock::now();
    LAP_ASSIGN(const pid_t child, spawn(arguments(engine)));
    GpuTests tests;
    int status = 0;
    Clock::time_point asked{};
    while (waitpid(child, &status, WNOHANG) == 0) {
        const bool late = seconds_since(start) >= time_limit;
        if (interrupt.requested() && asked == Clock::time_point{}) {
            asked = Clock::now();
            kill(child, SIGTERM);
        }
        if (late || (asked != Clock::time_point{} && Clock::now() - asked > kGrace)) {
            tests.end = GpuTests::End::timed_out;
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            break;
        }
        std::this_thread::sleep_for(kLook);
    }
    tests.seconds = seconds_since(start);
    tests.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    if (interrupt.requested())
        tests.end = GpuTests::End::interrupted;
    else if (tests.end != GpuTests::End::timed_out && WIFSIGNALED(status))
        tests.end = GpuTests::End::crashed;
    else if (tests.end != GpuTests::End::timed_out && tests.code != 0)
        tests.end = GpuTests::End::failed;
    return tests;
}

std::string describe(const GpuTests& tests) {
    switch (tests.end) {
        case GpuTests::End::done: return fmt::format("finished in {:.1f} s", tests.seconds);
        case GpuTests::End::failed: return fmt::format("stopped with exit code {}", tests.code);
        case GpuTests::End::crashed: return fmt::format("crashed ({})", strsignal(tests.code));
        case GpuTests::End::timed_out: return fmt::format("did not end within {:.4g} s", tests.seconds);
        default: return "were interrupted";
    }
}

Result<void> test_gpu_first(const Console& console, const Interrupt& interrupt, const EngineOptions& engine) {
    if (engine.model.empty()) return {};  // a synthetic one: it is made in this process
    const auto gpu = gpu_of(engine);
    if (!gpu || !*gpu || (*gpu)->verdicts.file.empty()) return {};  // what is wrong is for Engine::open to say
    const GpuVerdicts& known = (*gpu)->verdicts;
    if (!known.passed.empty() || !known.failed.empty()) return {};
    console.note(fmt::format("note: {} is new here: its shaders are tested first, once (`lapidary tune`)", (*gpu)->name));
    LAP_ASSIGN(const GpuTests tests, run_gpu_tests(interrupt, engine, kTestSeconds));
    if (tests.end == GpuTests::End::interrupted) return Error{Errc::cancelled, "interrupted"};
    if (tests.end != GpuTests::End::done) console.note(fmt::format("note: the tests of {} {}", (*gpu)->name, describe(tests)));
    return {};
}

Json verdicts_json(const GpuVerdicts& v) {
    Json failed = Json::array(), winners = Json::array();
    for (const auto& [test, reason] : v.failed) failed.push_back({{"test", test}, {"reason", reason}});
    for (const auto& w : v.winners) winners.push_back({{"race", w.race}, {"winner", w.winner}, {"speedup", w.speedup}});
    return {{"file", v.file.empty() ? Json(nullptr) : Json(v.file.string())},
            {"passed", v.passed.size()},
            {"failed", failed},
            {"untested", v.untested},
            {"winners", winners}};
}

std::string verdicts_text(const GpuVerdicts& v, size_t indent) {
    const std::string begin(indent, ' ');
    std::string page;
    const auto line = [&](const char* name, const std::string& text) { page += fmt::format("{}{:<8} {}\n", begin, name, text); };
    line("shaders", fmt::format("{} tests passed, {} failed; {} shaders of products not tested", v.passed.size(), v.failed.size(),
                                v.untested.size()));
    for (const auto& [test, reason] : v.failed) line("failed", fmt::format("{}: {}", test, reason));
    for (const auto& w : v.winners) line("race", fmt::format("{}: {} ({:.2f} times the speed without)", w.race, w.winner, w.speedup));
    if (!v.file.empty()) line("kept in", v.file.string());
    return page;
}

}  // namespace lapidary::cli
