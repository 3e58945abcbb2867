// What a driver's compiler made of a pipeline: registers, code, spills, and the code itself. For benchmarks, not for the
// product.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/vulkan/context.h"

namespace lapidary::runtime::vulkan {

struct CompilerStatistic {
    std::string name;  // as the driver calls it: "VGPRs", "Code Size"
    double value = 0;
};
struct CompilerReport {
    std::vector<CompilerStatistic> statistics;  // in the driver's order; a name may come twice, for two executables
    std::string assembly;                       // empty where the driver shows none
};

// Of a pipeline made in a context that explains().
Result<CompilerReport> compiler_report(const Context& context, VkPipeline pipeline);

}  // namespace lapidary::runtime::vulkan
