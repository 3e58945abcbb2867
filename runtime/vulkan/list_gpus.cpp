// What Vulkan shows, in words and numbers without its types; see make_vulkan_device.h.
#include <algorithm>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/vulkan/make_vulkan_device.h"
#include "runtime/vulkan/physical_device.h"
#include "runtime/vulkan/shader_table.h"
#include "runtime/vulkan/trust.h"
#include "runtime/vulkan/verdicts.h"

namespace lapidary::runtime {
namespace {

std::vector<GpuHeap> heaps_of(const vulkan::DeviceFacts& facts) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    if (facts.memory_budget) {
        VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
        memory.pNext = &budget;
        vkGetPhysicalDeviceMemoryProperties2(facts.handle, &memory);
    }
    std::vector<GpuHeap> heaps;
    for (uint32_t i = 0; i < facts.memory.memoryHeapCount; ++i) {
        const VkMemoryHeap& heap = facts.memory.memoryHeaps[i];
        const uint64_t used = std::min(budget.heapUsage[i], budget.heapBudget[i]);
        heaps.push_back({heap.size, budget.heapBudget[i] - used, (heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0});
    }
    return heaps;
}

// Of tests "SHADER ..." and "race ...".
GpuVerdicts verdicts_of(const vulkan::DeviceFacts& facts, const std::filesystem::path& folder) {
    GpuVerdicts out;
    if (folder.empty()) return out;
    out.file = folder / vulkan::verdict_file_name(facts);
    const auto known = vulkan::Verdicts::open(out.file, facts);
    for (const auto& [test, verdict] : known.tests()) {
        if (verdict.passed)
            out.passed.push_back(test);
        else
            out.failed.emplace_back(test, verdict.reason);
    }
    for (const auto& [race, won] : known.races()) out.winners.push_back({race, won.winner, won.speedup});
    for (const vulkan::ShaderRow& row : vulkan::shader_rows()) {
        const bool product = row.name.starts_with("matvec_") || row.name.starts_with("matmul_");
        const bool tested = std::any_of(known.tests().begin(), known.tests().end(),
                                        [&](const auto& test) { return vulkan::tests_shader(test.first, row.name); });
        if (product && !tested && !(row.needs & ~facts.needs())) out.untested.emplace_back(row.name);
    }
    return out;
}

GpuFacts in_words(const vulkan::DeviceFacts& facts, const std::filesystem::path& cache_folder) {
    GpuFacts out;
    out.index = facts.index;
    out.name = facts.name;
    out.type = facts.type;
    out.driver = facts.driver;
    out.api = facts.api;
    out.software = facts.software;
    out.unified = facts.unified;
    out.heaps = heaps_of(facts);
    out.features = {{"dot", facts.dot},
                    {"dot_accelerated", facts.dot_accelerated},
                    {"float16", facts.float16}};
    for (const auto& s : facts.matrix_half) out.matrices.push_back(concat("f16 ", s.m, "x", s.n, "x", s.k));
    for (const auto& s : facts.matrix_int8) out.matrices.push_back(concat("int8 ", s.m, "x", s.n, "x", s.k));
    out.limits = {{"subgroup", facts.subgroup},
                  {"subgroup_min", facts.subgroup_min},
                  {"subgroup_max", facts.subgroup_max},
                  {"workgroup_threads", facts.limits.maxComputeWorkGroupInvocations},
                  {"shared_bytes", facts.limits.maxComputeSharedMemorySize},
                  {"push_bytes", facts.limits.maxPushConstantsSize},
                  {"allocation_bytes", facts.max_allocation_bytes},
                  {"buffer_range_bytes", facts.limits.maxStorageBufferRange},
                  {"timestamp_bits", facts.timestamp_bits}};
    out.reasons = facts.reasons;
    out.verdicts = verdicts_of(facts, cache_folder);
    return out;
}

}  // namespace

Result<GpuFacts> find_gpu(const std::string& device, const std::filesystem::path& cache_folder) {
    LAP_ASSIGN(const auto instance, vulkan::Instance::create());
    LAP_ASSIGN(const auto chosen, vulkan::choose_device(vulkan::list_devices(*instance), device));
    return in_words(chosen, cache_folder);
}

GpuReport list_gpus(const std::filesystem::path& cache_folder) {
    const auto instance = vulkan::Instance::create();
    if (!instance) return {instance.error().message, {}};
    GpuReport report;
    for (const vulkan::DeviceFacts& facts : vulkan::list_devices(**instance)) report.gpus.push_back(in_words(facts, cache_folder));
    if (report.gpus.empty()) report.problem = "the Vulkan loader is here, and shows no device";
    return report;
}

}  // namespace lapidary::runtime
