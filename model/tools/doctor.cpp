// What this machine offers: processor, kernels, memory, power, GPUs.
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/try.h"
#include "kernels/select.h"
#include "lapidary/tools.h"
#include "model/engine_state.h"
#include "runtime/cpu/power.h"
#include "runtime/cpu/race.h"
#include "runtime/cpu/topology.h"
#include "runtime/memory/budget.h"
#include "runtime/vulkan/make_vulkan_device.h"

namespace lapidary {
namespace {

// The program's bundled model: share/lapidary/models/tiny beside bin/.
constexpr const char* kBundled = "share/lapidary/models/tiny";

void advise(DoctorReport& report, const runtime::Memory& memory) {
    const auto selected = std::find_if(report.isa.begin(), report.isa.end(), [](const auto& i) { return i.selected; });
    const auto best = std::find_if(report.isa.rbegin(), report.isa.rend(),
                                   [](const auto& i) { return i.built && i.supported; });
    if (selected != report.isa.end() && best != report.isa.rend() && selected->name != best->name)
        report.advice.push_back("LAPIDARY_CPU lowers the kernels to " + selected->name + "; unset it to use " +
                                best->name);
    if (selected != report.isa.end() && selected->name == "ref")
        report.advice.push_back("only the scalar reference kernels run here: expect a small fraction of the speed");
    constexpr uint64_t kNeeded = uint64_t{9} << 30;  // a 12B Q4_0 file, an 8k cache and the step buffers
    const uint64_t usable = runtime::usable_bytes(memory);
    if (usable < kNeeded)
        report.advice.push_back(std::to_string(usable >> 20) + " MiB of memory are available; a 12B model in 4 bits wants " +
                                std::to_string(kNeeded >> 20) + " MiB: " +
                                (memory.limit_bytes > 0 && usable == memory.limit_left_bytes ? "raise the limit of " + memory.limit_from
                                                                                             : "close other programs"));
}

GpuReport report_of(const runtime::GpuFacts& f) {
    std::vector<GpuHeap> heaps;
    for (const runtime::GpuHeap& h : f.heaps) heaps.push_back({h.bytes, h.budget_bytes, h.device_local});
    const runtime::GpuVerdicts& v = f.verdicts;
    GpuVerdicts verdicts{v.file, v.passed, v.failed, v.untested, {}};
    for (const auto& won : v.winners) verdicts.winners.push_back({won.race, won.winner, won.speedup});
    return {f.index,  f.name,   f.type,    f.driver,           f.api, f.software, f.unified, std::move(heaps), f.features, f.matrices,
            f.limits, f.reasons, std::move(verdicts)};
}

void look_for_gpus(DoctorReport& report) {
    const runtime::GpuReport found = runtime::list_gpus(cache_folder({}));
    for (const runtime::GpuFacts& f : found.gpus) report.gpus.push_back(report_of(f));
    const auto usable = [](const runtime::GpuFacts& f) { return f.reasons.empty(); };
    if (const auto best = runtime::find_gpu("")) {
        report.gpu = best->name;
    } else if (found.gpus.empty()) {
        report.gpu = "none: " + found.problem;
    } else if (std::any_of(found.gpus.begin(), found.gpus.end(), usable)) {
        report.gpu = "none: Vulkan shows software devices only, which are used when named";
    } else {
        report.gpu = "none: no Vulkan device here can be used";
    }
}

}  // namespace

Result<DoctorReport> doctor() {
    DoctorReport report;
    report.version = version();
    report.cpu = runtime::cpu_name();
    report.cores = runtime::usable_cores();
    LAP_ASSIGN(report.threads, thread_count(0));
    const char* wanted = std::getenv("LAPIDARY_CPU");
    std::string why;
    const auto* selected = kernels::select(wanted ? wanted : "", &why);
    if (!selected) return Error{Errc::invalid_argument, why, "unset LAPIDARY_CPU to use the best level"};
    for (const auto& level : kernels::levels())
        report.isa.push_back({std::string(level.name), level.built, level.supported, level.name == selected->isa,
                              level.table ? level.table->peak(0).instruction : ""});
    std::vector<kernels::Format> panels;
    for (const auto& row : kernels::rows()) {
        report.kernels.push_back({std::string(row.op), std::string(row.isa), std::string(row.function)});
        if (row.op == "panel_matmul" && row.isa == "ref") panels.push_back(row.weights);
    }
    if (!wanted || !*wanted) {
        kernels::KernelTable table = *selected;
        for (const auto& r : runtime::race(runtime::racers(), panels, table))
            report.race.push_back({kernels::name(r.format), r.isa, r.few, r.won, r.gmacs});
    }
    const runtime::Memory memory = runtime::memory();
    report.memory_total_bytes = memory.total_bytes;
    report.memory_free_bytes = memory.available_bytes;
    report.memory_limit_bytes = memory.limit_bytes;
    report.memory_limit_left_bytes = memory.limit_left_bytes;
    report.memory_limit_from = memory.limit_from;
    report.swap_free_bytes = memory.swap_free_bytes;
    const runtime::Power power = runtime::power_state();
    report.on_battery = power.on_battery;
    report.power_profile = power.profile;
    report.power = runtime::name(power);
    look_for_gpus(report);
    advise(report, memory);
    return report;
}

Result<std::optional<GpuReport>> gpu_of(const EngineOptions& options) {
    LAP_ASSIGN(const AskedPlacement asked, asked_placement(options));
    if (!asked.needs_gpu()) return std::optional<GpuReport>();
    LAP_ASSIGN(const runtime::GpuFacts facts, runtime::find_gpu(asked.device, cache_folder(options)));
    return std::optional(report_of(facts));
}

Result<std::filesystem::path> bundled_model() {
    std::error_code ec;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", ec);
    auto path = program.parent_path().parent_path() / kBundled;
    // Of an embedder's program: beside the shared library.
    Dl_info library = {};
    if (!std::filesystem::is_directory(path, ec) && dladdr(&kBundled, &library) != 0 && library.dli_fname != nullptr)
        for (auto up = std::filesystem::absolute(library.dli_fname, ec); up != up.root_path(); up = up.parent_path())
            if (std::filesystem::is_directory(up / kBundled, ec)) {
                path = up / kBundled;
                break;
            }
    if (!std::filesystem::is_directory(path, ec))
        return Error{Errc::model_not_found, "the bundled model is missing: " + path.string(),
                     "name a model, or install lapidary again"};
    return path;
}

}  // namespace lapidary
