// What the CPU does for a decoded token on a GPU, and of how many dispatches and barriers the token consists: a model of the
// 12B's layers and heads, narrow, so that little but that is left to do.
#include <time.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/try.h"
#include "bench/shaders_support.h"
#include "model/engine_state.h"
#include "model/synth/memory.h"
#include "runtime/vulkan/vulkan_device.h"

namespace lapidary::bench {
namespace {

constexpr int kWarmUp = 3, kSteps = 40;
constexpr double kMostDispatches = 12, kMostBarriers = 9;  // of a layer

double thread_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Of one token.
struct StepCost {
    double submit_seconds = 0;  // of the host's clock
    double cpu_seconds = 0;     // of the calling thread, from the token to its logits
    double dispatches = 0, barriers = 0, submits = 0;
};

Result<Engine> open_engine(const std::shared_ptr<Context>& context, int layers) {
    const auto started = std::chrono::steady_clock::now();
    model::SynthOptions synthetic;
    synthetic.preset = model::SynthPreset::narrow;
    synthetic.layers = layers;
    LAP_ASSIGN(auto loaded, model::synthetic_model(synthetic));
    EngineOptions options;
    options.context = 512;
    const auto parts = [&](const EngineOptions& o, const model::LoadedModel& l, Attempt) -> Result<std::vector<model::DevicePart>> {
        LAP_ASSIGN(auto made, cpu_part(o, l));
        VulkanOptions plain;
        plain.self_test = false;
        LAP_ASSIGN(made.front().device, VulkanDevice::create(context, plain));
        return made;
    };
    return make_engine(options, std::move(loaded), started, Packing::now, parts);
}

Result<void> forward(const Engine& engine, Session& session, std::vector<int32_t> ids) {
    LAP_ASSIGN(const Prompt prompt, engine.tokens(ids));
    LAP_TRY(session.append(prompt));
    LAP_TRY(session.forward({.rows = Rows::last}, [](int64_t, std::span<const float>) { return Flow::go; }));
    return {};
}

Result<StepCost> measure(const std::shared_ptr<Context>& context, int layers) {
    LAP_ASSIGN(const Engine engine, open_engine(context, layers));
    LAP_ASSIGN(Session session, engine.new_session());
    for (int i = 0; i < kWarmUp; ++i) LAP_TRY(forward(engine, session, {i + 1}));
    const auto& device = dynamic_cast<const VulkanDevice&>(model::Access::state(engine).device());
    const VulkanDevice::Counts before = device.counts();
    const double start = thread_seconds();
    for (int i = 0; i < kSteps; ++i) LAP_TRY(forward(engine, session, {i + 1}));
    StepCost cost;
    cost.cpu_seconds = (thread_seconds() - start) / kSteps;
    const VulkanDevice::Counts& after = device.counts();
    if (after.replays - before.replays != kSteps) return Error{Errc::internal, "decoded tokens were recorded again"};
    cost.submit_seconds = (after.host_seconds - before.host_seconds) / kSteps;
    cost.dispatches = static_cast<double>(after.dispatches - before.dispatches) / kSteps;
    cost.barriers = static_cast<double>(after.barriers - before.barriers) / kSteps;
    cost.submits = static_cast<double>(after.submits - before.submits) / kSteps;
    return cost;
}

}  // namespace

Result<void> print_steps(const std::string& device) {
    LAP_ASSIGN(const auto instance, Instance::create());
    LAP_ASSIGN(const DeviceFacts facts, choose_device(list_devices(*instance), device));
    LAP_ASSIGN(const auto context, Context::create(instance, facts));
    LAP_ASSIGN(const StepCost half, measure(context, 24));
    LAP_ASSIGN(const StepCost whole, measure(context, 48));
    const double dispatches = (whole.dispatches - half.dispatches) / 24, barriers = (whole.barriers - half.barriers) / 24;
    std::printf("%s, a decoded token of 48 layers, replayed: %.0f dispatches, %.0f barriers, %.0f submits\n", facts.name.c_str(),
                whole.dispatches, whole.barriers, whole.submits);
    std::printf("a layer: %.2f dispatches (at most %g), %.2f barriers (at most %g)\n", dispatches, kMostDispatches, barriers,
                kMostBarriers);
    std::printf("CPU: submitting %.3f ms; the calling thread, from token to logits, %.3f ms (at most 1)\n",
                1e3 * whole.submit_seconds, 1e3 * whole.cpu_seconds);
    if (dispatches > kMostDispatches || barriers > kMostBarriers)
        return Error{Errc::internal, "a layer has more dispatches or barriers than it may"};
    return {};
}

}  // namespace lapidary::bench
