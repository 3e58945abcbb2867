// What the suites of shaders_bench share: a device, memory on it, cases by row of the table, and how one is timed.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/vulkan/commands.h"

namespace lapidary::bench {

using namespace lapidary::runtime;
using namespace lapidary::runtime::vulkan;

// One operation as its dispatches. Several calls of it take turns, so that no cache holds what comes from memory in a step.
struct Work {
    std::vector<std::vector<Dispatch>> calls;
    double bytes = 0, macs = 0;                // of one call: read and written once each; multiply-adds
    std::vector<std::shared_ptr<void>> keeps;  // what the dispatches point to
};

class Gpu {
  public:
    // `device`: as choose_device takes it. `explains`: as Context::create.
    static Result<std::unique_ptr<Gpu>> open(const std::string& device, bool explains);
    ~Gpu();
    Gpu(const Gpu&) = delete;
    Gpu& operator=(const Gpu&) = delete;

    const DeviceFacts& facts() const { return context_->facts(); }
    const std::shared_ptr<Context>& context() const { return context_; }
    Queue& queue() { return *queue_; }
    Pipelines& pipelines() { return *pipelines_; }

    // Shapes small enough for a software device.
    bool small() const { return facts().software; }
    // How many copies of so many bytes no cache holds.
    int64_t cold_copies(int64_t bytes) const;

    // On the device, full of random numbers that are usual in every format: f16 of about 2^-6. Kept by `work`.
    Result<std::shared_ptr<VulkanBuffer>> random(Work& work, int64_t bytes);
    // The host's to write, of zeros.
    Result<std::shared_ptr<VulkanBuffer>> host(Work& work, int64_t bytes);

    // Seconds of one submit with `count` calls, the work's calls in turn, by the device's clock where it has one.
    Result<double> run(const Work& work, size_t count);

    double bandwidth();  // bytes per second of reads, measured once
    double dot_peak();   // multiply-adds per second of packed dot products; 0: there are none

  private:
    Gpu() = default;
    Result<double> stamped_seconds();

    std::shared_ptr<Context> context_;
    std::unique_ptr<Queue> queue_;
    std::unique_ptr<Pipelines> pipelines_;
    std::shared_ptr<VulkanBuffer> noise_;
    VkQueryPool stamps_ = VK_NULL_HANDLE;  // null: no clock there
    double bandwidth_ = -1, dot_peak_ = -1;
};

// How one row of the table is timed.
struct Case {
    Shader shader;
    std::string name;  // "add/columns:1"
    std::function<Result<Work>(Gpu&)> make;
};
using Cases = std::vector<Case>;

// What a row's defines say.
bool has_define(const ShaderRow& row, std::string_view define);
Format format_of(const ShaderRow& row);  // f32 where they name none
// A decoded token and a chunk of a prompt; few on a software device.
std::vector<int64_t> columns_for(const Gpu& gpu);

// The cases of a row; nothing where its operation is not of that file.
Cases row_cases(const ShaderRow& row, Shader shader, const Gpu& gpu);
Cases product_cases(const ShaderRow& row, Shader shader, const Gpu& gpu);
Cases attention_cases(const ShaderRow& row, Shader shader, const Gpu& gpu);
Cases measuring_cases(const ShaderRow& row, Shader shader, const Gpu& gpu);

void register_case(Gpu& gpu, const Case& c);
// Prints what the driver's compiler made of every pipeline of the cases, its code too where `assembly`. False where one
// fails.
bool print_statistics(Gpu& gpu, const Cases& cases, bool assembly);
// Prints CPU time, dispatches and barriers of a decoded token.
Result<void> print_steps(const std::string& device);

}  // namespace lapidary::bench
