// See shaders_support.h.
#include "bench/shaders_support.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstring>
#include <iterator>
#include <sstream>
#include <utility>

#include "base/try.h"
#include "runtime/vulkan/vulkan_probe.h"

namespace lapidary::bench {
namespace {

constexpr int64_t kColdBytes = int64_t{256} << 20;
constexpr int64_t kNoiseBytes = int64_t{1} << 20;
constexpr double kSubmitSeconds = 0.01;  // long beside what a submit costs, short beside a watchdog
constexpr size_t kMostCalls = 256;       // in a submit

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool serves(const Work& work, Shader shader) {
    const auto& call = work.calls.front();
    return std::any_of(call.begin(), call.end(), [&](const Dispatch& d) { return d.pipeline.shader == shader; });
}

void count(benchmark::State& state, Gpu& gpu, const Work& work) {
    constexpr auto kRate = benchmark::Counter::kIsIterationInvariantRate;
    state.counters["GB/s"] = benchmark::Counter(work.bytes * 1e-9, kRate);
    state.counters["%read"] = benchmark::Counter(100 * work.bytes / gpu.bandwidth(), kRate);
    if (work.macs == 0) return;
    state.counters["GMAC/s"] = benchmark::Counter(work.macs * 1e-9, kRate);
    if (const double peak = gpu.dot_peak(); peak > 0) state.counters["%dot"] = benchmark::Counter(100 * work.macs / peak, kRate);
}

// Where nothing runs: a buffer without memory of a device, which may have none.
std::shared_ptr<VulkanBuffer> paper_buffer(int64_t bytes, std::byte* host) {
    auto block = std::make_shared<Block>();
    block->bytes = static_cast<uint64_t>(bytes);
    block->mapped = host;
    return std::make_shared<VulkanBuffer>(std::move(block), 0, static_cast<size_t>(bytes));
}

// As many calls as a submit of kSubmitSeconds has room for; the first run also makes the pipelines.
Result<size_t> calls_of_a_submit(Gpu& gpu, const Work& work) {
    LAP_TRY(gpu.run(work, 1));
    LAP_ASSIGN(const double once, gpu.run(work, 1));
    return std::clamp<size_t>(static_cast<size_t>(kSubmitSeconds / std::max(once, 1e-7)), 1, kMostCalls);
}

void time(benchmark::State& state, Gpu& gpu, const Case& c) {
    const auto work = c.make(gpu);
    if (!work) return state.SkipWithError(work.error().message.c_str());
    if (!serves(*work, c.shader)) return state.SkipWithError("the operation takes another shader");
    const auto calls = calls_of_a_submit(gpu, *work);
    if (!calls) return state.SkipWithError(calls.error().message.c_str());
    while (state.KeepRunningBatch(static_cast<int64_t>(*calls))) {
        const auto seconds = gpu.run(*work, *calls);
        if (!seconds) return state.SkipWithError(seconds.error().message.c_str());
        state.SetIterationTime(*seconds);
    }
    count(state, gpu, *work);
}

}  // namespace

Result<std::unique_ptr<Gpu>> Gpu::open(const std::string& device, bool explains) {
    LAP_ASSIGN(const std::shared_ptr<Instance> instance, Instance::create());
    LAP_ASSIGN(const DeviceFacts facts, choose_device(list_devices(*instance), device));
    auto gpu = std::unique_ptr<Gpu>(new Gpu());
    LAP_ASSIGN(gpu->context_, Context::create(instance, facts, explains));
    LAP_ASSIGN(gpu->pipelines_, Pipelines::create(gpu->context_, {}));
    if (explains) return gpu;  // what only compiles may have no queue
    LAP_ASSIGN(gpu->queue_, Queue::create(gpu->context_));
    if (facts.timestamp_bits == 0 || facts.limits.timestampPeriod == 0) return gpu;
    VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = 2;
    const Context& c = *gpu->context_;
    if (const VkResult r = c.vk().vkCreateQueryPool(c.device(), &info, nullptr, &gpu->stamps_); r != VK_SUCCESS)
        return failure("no timestamps", r);
    return gpu;
}

Gpu::~Gpu() {
    if (stamps_) context_->vk().vkDestroyQueryPool(context_->device(), stamps_, nullptr);
}

int64_t Gpu::cold_copies(int64_t bytes) const {
    return small() || context_->explains() ? 1 : std::clamp<int64_t>(kColdBytes / bytes, 1, 64);
}

Result<std::shared_ptr<VulkanBuffer>> Gpu::host(Work& work, int64_t bytes) {
    if (context_->explains()) {
        const auto bytes_here = std::make_shared<std::vector<uint64_t>>(static_cast<size_t>(bytes + 7) / 8);
        work.keeps.push_back(bytes_here);
        work.keeps.push_back(paper_buffer(bytes, reinterpret_cast<std::byte*>(bytes_here->data())));
        return std::static_pointer_cast<VulkanBuffer>(work.keeps.back());
    }
    LAP_ASSIGN(auto buffer, allocate_buffer(context_, static_cast<uint64_t>(bytes), Memory::upload, "inputs of a benchmark"));
    std::memset(buffer->mapped(), 0, buffer->bytes);
    work.keeps.push_back(buffer);
    return buffer;
}

Result<std::shared_ptr<VulkanBuffer>> Gpu::random(Work& work, int64_t bytes) {
    if (context_->explains()) {
        work.keeps.push_back(paper_buffer(bytes, nullptr));
        return std::static_pointer_cast<VulkanBuffer>(work.keeps.back());
    }
    LAP_ASSIGN(auto buffer, allocate_buffer(context_, static_cast<uint64_t>(bytes), Memory::device, "data of a benchmark"));
    work.keeps.push_back(buffer);
    if (!noise_) {
        LAP_ASSIGN(noise_, allocate_buffer(context_, kNoiseBytes, Memory::upload, "random numbers"));
        uint32_t seed = 1;
        for (int64_t at = 0; at < kNoiseBytes; at += 2) {
            seed = seed * 1664525 + 1013904223;
            const auto half = static_cast<uint16_t>((seed >> 16 & 0x83ff) | 0x2400);
            std::memcpy(noise_->mapped() + at, &half, sizeof half);
        }
    }
    LAP_TRY(queue_->run_once([&](VkCommandBuffer commands) {
        for (int64_t at = 0; at < bytes; at += kNoiseBytes) {
            const VkBufferCopy copy{0, static_cast<uint64_t>(at), static_cast<uint64_t>(std::min(kNoiseBytes, bytes - at))};
            context_->vk().vkCmdCopyBuffer(commands, noise_->block().buffer, buffer->block().buffer, 1, &copy);
        }
    }));
    return buffer;
}

Result<double> Gpu::run(const Work& work, size_t calls) {
    std::vector<Dispatch> dispatches;
    for (size_t i = 0; i < calls; ++i) {
        const auto& call = work.calls[i % work.calls.size()];
        dispatches.insert(dispatches.end(), call.begin(), call.end());
    }
    RecordingOptions options;
    options.timestamps = stamps_;
    RecordedStep step(*queue_, *pipelines_, std::move(dispatches), {}, options);
    LAP_ASSIGN(const VkCommandBuffer commands, step.piece(0));
    const double begin = now();
    LAP_ASSIGN(const uint64_t ticket, queue_->submit(commands));
    LAP_TRY(queue_->wait(ticket));
    const double seconds = now() - begin;
    return stamps_ ? stamped_seconds() : seconds;
}

Result<double> Gpu::stamped_seconds() {
    uint64_t stamps[2] = {};
    const Context& c = *context_;
    if (const VkResult r = c.vk().vkGetQueryPoolResults(c.device(), stamps_, 0, 2, sizeof stamps, stamps, sizeof stamps[0],
                                                        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
        r != VK_SUCCESS)
        return failure("timestamps", r);
    const uint32_t bits = facts().timestamp_bits;
    const uint64_t ticks = (stamps[1] - stamps[0]) & (bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1);
    return static_cast<double>(ticks) * facts().limits.timestampPeriod * 1e-9;
}

double Gpu::bandwidth() {
    if (bandwidth_ >= 0) return bandwidth_;
    Work work;
    const auto buffer = random(work, small() ? int64_t{64} << 20 : kColdBytes);
    bandwidth_ = buffer ? VulkanProbe(*queue_, *pipelines_, nullptr).read_bandwidth(*buffer, 0.3) * 1e9 : 0;
    return bandwidth_;
}

double Gpu::dot_peak() {
    if (dot_peak_ < 0) dot_peak_ = VulkanProbe(*queue_, *pipelines_, nullptr).int8_peak(0.3) * 1e9;
    return dot_peak_;
}

bool has_define(const ShaderRow& row, std::string_view define) {
    std::istringstream words{std::string(row.defines)};
    return std::any_of(std::istream_iterator<std::string>(words), {}, [&](const std::string& w) { return w == define; });
}

Format format_of(const ShaderRow& row) {
    for (int f = 0; f < kernels::kFormats; ++f) {
        std::string name = kernels::name(static_cast<Format>(f));
        for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        if (has_define(row, name)) return static_cast<Format>(f);
    }
    return Format::f32;
}

std::vector<int64_t> columns_for(const Gpu& gpu) { return {1, gpu.small() ? 3 : 512}; }

void register_case(Gpu& gpu, const Case& c) {
    benchmark::RegisterBenchmark(c.name.c_str(), [&gpu, c](benchmark::State& state) { time(state, gpu, c); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
}

}  // namespace lapidary::bench
