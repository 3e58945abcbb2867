// Race, threads, device; see make_cpu_device.h.
#include "runtime/cpu/make_cpu_device.h"

#include <algorithm>

#include "runtime/cpu/cpu_device.h"
#include "runtime/cpu/race.h"

namespace lapidary::runtime {

Result<std::unique_ptr<Device>> make_cpu_device(const CpuSettings& settings, std::span<const Format> formats) {
    const int threads = std::max(settings.threads.prefill, settings.threads.decode);
    auto device = std::make_unique<CpuDevice>(*settings.level, threads, settings.precise, settings.threads);
    if (device->threads() != threads)
        return Error{Errc::out_of_memory,
                     "the system gave " + std::to_string(device->threads()) + " of " + std::to_string(threads) +
                         " threads",
                     "set EngineOptions::threads to less, or raise the limits on processes and memory (ulimit -u, -v)"};
    if (settings.race && !settings.precise) {
        Cpu& cpu = device->cpu();
        for (const RaceResult& r : race(racers(), formats, cpu.table))
            if (r.won) (r.few ? cpu.few_isa : cpu.many_isa)[index(r.format)] = r.isa;
    }
    return std::unique_ptr<Device>(std::move(device));
}

}  // namespace lapidary::runtime
