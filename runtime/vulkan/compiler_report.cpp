// VK_KHR_pipeline_executable_properties; see compiler_report.h.
#include "runtime/vulkan/compiler_report.h"

#include <cstdint>
#include <cstring>

#include "base/try.h"

namespace lapidary::runtime::vulkan {
namespace {

double value_of(const VkPipelineExecutableStatisticKHR& s) {
    switch (s.format) {
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: return s.value.b32;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: return static_cast<double>(s.value.i64);
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: return static_cast<double>(s.value.u64);
        default: return s.value.f64;
    }
}

// The last text that the driver shows: what comes before are the compiler's own languages.
Result<std::string> assembly_of(const Context& c, const VkPipelineExecutableInfoKHR& which) {
    const auto ask = c.vk().vkGetPipelineExecutableInternalRepresentationsKHR;
    uint32_t count = 0;
    if (const VkResult r = ask(c.device(), &which, &count, nullptr); r != VK_SUCCESS) return failure("a pipeline's code", r);
    std::vector<VkPipelineExecutableInternalRepresentationKHR> all(
        count, {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR});
    if (const VkResult r = ask(c.device(), &which, &count, all.data()); r != VK_SUCCESS) return failure("a pipeline's code", r);
    std::vector<std::string> texts;
    for (auto& one : all) {
        texts.emplace_back(one.dataSize, '\0');
        one.pData = texts.back().data();
    }
    if (const VkResult r = ask(c.device(), &which, &count, all.data()); r != VK_SUCCESS) return failure("a pipeline's code", r);
    for (size_t i = texts.size(); i-- > 0;)
        if (all[i].isText && !texts[i].empty()) return std::string(texts[i].c_str());
    return std::string();
}

}  // namespace

Result<CompilerReport> compiler_report(const Context& c, VkPipeline pipeline) {
    const VolkDeviceTable& vk = c.vk();
    VkPipelineInfoKHR info{VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR};
    info.pipeline = pipeline;
    uint32_t executables = 0;
    if (const VkResult r = vk.vkGetPipelineExecutablePropertiesKHR(c.device(), &info, &executables, nullptr); r != VK_SUCCESS)
        return failure("a pipeline's executables", r);
    CompilerReport report;
    for (uint32_t i = 0; i < executables; ++i) {
        VkPipelineExecutableInfoKHR which{VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR};
        which.pipeline = pipeline;
        which.executableIndex = i;
        uint32_t count = 0;
        VkResult r = vk.vkGetPipelineExecutableStatisticsKHR(c.device(), &which, &count, nullptr);
        std::vector<VkPipelineExecutableStatisticKHR> all(count, {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR});
        if (r == VK_SUCCESS) r = vk.vkGetPipelineExecutableStatisticsKHR(c.device(), &which, &count, all.data());
        if (r != VK_SUCCESS) return failure("a pipeline's statistics", r);
        for (const auto& s : all) report.statistics.push_back({s.name, value_of(s)});
        LAP_ASSIGN(const std::string text, assembly_of(c, which));
        report.assembly += text;
    }
    return report;
}

}  // namespace lapidary::runtime::vulkan
