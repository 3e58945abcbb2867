// A GPU's shaders tested in a process of their own, which a driver may crash or hang without harm: what it was at then is a
// verdict at the next start. And what is known of a GPU's shaders, for people and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/common/interrupt.h"
#include "apps/common/output.h"
#include "lapidary/tools.h"

namespace lapidary::cli {

inline constexpr double kTestSeconds = 300;  // of a large model on a slow disk

// How the process ended: by itself (0: all was tested), by a signal of its own, or by ours.
struct GpuTests {
    enum class End { done, failed, crashed, timed_out, interrupted } end = End::done;
    int code = 0;        // exit code, or the signal
    double seconds = 0;
};
// Runs `lapidary tune --in-process` with these options, its notes and errors on stderr.
Result<GpuTests> run_gpu_tests(const Interrupt& interrupt, const EngineOptions& engine, double time_limit);
std::string describe(const GpuTests& tests);  // "finished in 12 s"

// Before an engine is opened: where it is going to compute on a GPU of which nothing is known yet, the above. What comes of
// it is for the engine to see; only an interruption is an error.
Result<void> test_gpu_first(const Console& console, const Interrupt& interrupt, const EngineOptions& engine);

nlohmann::ordered_json verdicts_json(const GpuVerdicts& verdicts);
// Lines of `indent` blanks.
std::string verdicts_text(const GpuVerdicts& verdicts, size_t indent);

}  // namespace lapidary::cli
