// What a driver's compiler makes of the shaders, with the constants that the 12B's shapes give them: no GPU is needed where
// the driver compiles without one (Mesa up to 25: RADV_FORCE_FAMILY).
#include <cstdio>
#include <set>

#include "base/describe.h"
#include "bench/shaders_support.h"
#include "runtime/vulkan/compiler_report.h"

namespace lapidary::bench {
namespace {

std::string constants_of(const PipelineKey& key) {
    std::string out;
    for (const uint32_t c : key.constants) out += concat(out.empty() ? "" : ",", c);
    return key.subgroup > 0 ? concat(out, " subgroup ", key.subgroup) : out;
}

bool is_hash(const std::string& name) { return name.find("ash") != std::string::npos; }

Result<CompilerReport> report_on(Gpu& gpu, const PipelineKey& key) {
    const auto pipeline = gpu.pipelines().get(key);
    if (!pipeline) return pipeline.error();
    return compiler_report(*gpu.context(), *pipeline);
}

bool print(Gpu& gpu, const Case& c, const PipelineKey& key, bool assembly) {
    const auto report = report_on(gpu, key);
    if (!report) {
        std::printf("%s [%s]: %s\n", c.name.c_str(), constants_of(key).c_str(), report.error().message.c_str());
        return false;
    }
    std::printf("%s [%s]", c.name.c_str(), constants_of(key).c_str());
    for (const CompilerStatistic& s : report->statistics)
        if (!is_hash(s.name)) std::printf("; %s %.10g", s.name.c_str(), s.value);
    std::printf("\n");
    if (assembly) std::printf("%s\n", report->assembly.c_str());
    return true;
}

}  // namespace

bool print_statistics(Gpu& gpu, const Cases& cases, bool assembly) {
    std::printf("%s, %s\n", gpu.facts().name.c_str(), gpu.facts().driver.c_str());
    std::set<PipelineKey> seen;
    bool all = true;
    for (const Case& c : cases) {
        const auto work = c.make(gpu);
        if (!work) {
            std::printf("%s: %s\n", c.name.c_str(), work.error().message.c_str());
            all = false;
            continue;
        }
        bool served = false;
        for (const Dispatch& d : work->calls.front())
            if (d.pipeline.shader == c.shader) {
                served = true;
                if (seen.insert(d.pipeline).second) all = print(gpu, c, d.pipeline, assembly) && all;
            }
        if (!served) {
            std::printf("%s: the operation takes another shader\n", c.name.c_str());
            all = false;
        }
    }
    return all;
}

}  // namespace lapidary::bench
