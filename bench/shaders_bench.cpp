// Google Benchmark over the table of shaders: every row that the device can run, in the shapes of the 12B, by the device's
// own clock. Counters: GB/s and percent of the reads, GMAC/s and percent of the packed dot products that the same device
// reaches in this process. `--statistics`: no times, but what the driver's compiler made of each; `--assembly`: its code.
// `--steps`: what the CPU does for a decoded token.
//   shaders_bench [--device=N|NAME] [--statistics|--assembly|--steps] [--filter=WORD] [options of Google Benchmark]
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "bench/shaders_support.h"

using namespace lapidary::bench;

namespace {

struct Options {
    std::string device, filter;
    bool statistics = false, assembly = false, steps = false;
};

// Takes what is ours out of the arguments.
Options take_options(int& argc, char** argv) {
    Options o;
    int kept = 1;
    for (int i = 1; i < argc; ++i) {
        const std::string_view a = argv[i];
        if (a.starts_with("--device=")) o.device = a.substr(9);
        else if (a.starts_with("--filter=")) o.filter = a.substr(9);
        else if (a == "--statistics") o.statistics = true;
        else if (a == "--steps") o.steps = true;
        else if (a == "--assembly") o.statistics = o.assembly = true;
        else argv[kept++] = argv[i];
    }
    argc = kept;
    return o;
}

Cases cases_of(const ShaderRow& row, Shader shader, const Gpu& gpu) {
    for (const auto suite : {row_cases, product_cases, attention_cases, measuring_cases})
        if (Cases cases = suite(row, shader, gpu); !cases.empty()) return cases;
    return {};
}

// Of every row; false where one has none.
bool gather(const Gpu& gpu, Cases& out) {
    bool all = true;
    for (size_t i = 0; i < shader_rows().size(); ++i) {
        const ShaderRow& row = shader_rows()[i];
        const Cases cases = cases_of(row, static_cast<Shader>(i), gpu);
        if (cases.empty()) {
            std::fprintf(stderr, "no benchmark times the shader %s: add one to bench/\n", std::string(row.name).c_str());
            all = false;
        } else if (row.needs & ~gpu.facts().needs()) {
            std::fprintf(stderr, "not on this device: %s\n", std::string(row.name).c_str());
        } else {
            out.insert(out.end(), cases.begin(), cases.end());
        }
    }
    return all;
}

int report(const lapidary::Result<void>& outcome) {
    if (outcome) return 0;
    std::fprintf(stderr, "%s\n", outcome.error().message.c_str());
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = take_options(argc, argv);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    if (options.steps) return report(print_steps(options.device));
    const auto gpu = Gpu::open(options.device, options.statistics);
    if (!gpu) return report(gpu.error());
    Cases cases;
    if (!gather(**gpu, cases)) return 1;
    std::erase_if(cases, [&](const Case& c) { return c.name.find(options.filter) == std::string::npos; });
    if (options.statistics) return print_statistics(**gpu, cases, options.assembly) ? 0 : 1;
    for (const Case& c : cases) register_case(**gpu, c);
    benchmark::AddCustomContext("device", (*gpu)->facts().name);
    benchmark::AddCustomContext("driver", (*gpu)->facts().driver);
    benchmark::RunSpecifiedBenchmarks();
}
