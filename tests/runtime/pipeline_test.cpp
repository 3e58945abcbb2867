// Stages that work at the same time, what ends them early, and how busy the devices of modelled laptops are: on a simulated
// clock, which moves only by what the stages really wait for.
#include "runtime/pipeline.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/plan/machines.h"
#include "runtime/plan/plan.h"
#include "tests/support/plan_models.h"

using namespace lapidary;
using namespace lapidary::runtime;

namespace {

const std::function<bool()> kAll = [] { return true; };

// Every stage has a time of its own, which work moves on; who goes on after an event cannot be earlier than it was.
class SimulatedClock final : public PipelineObserver {
  public:
    explicit SimulatedClock(size_t stages) : now_(stages), busy_(stages) {}

    void work(size_t stage, double seconds) {
        now_[stage] += seconds;
        busy_[stage] += seconds;
    }
    void happened(const PipelineEvent& e) override { at_[key(e)] = now_[e.stage]; }
    void waits(size_t) override {}
    void goes_on(size_t stage, const PipelineEvent& after) override { now_[stage] = std::max(now_[stage], at_[key(after)]); }

    double end() const { return *std::max_element(now_.begin(), now_.end()); }
    double idle_share(size_t stage) const { return 1 - busy_[stage] / end(); }

  private:
    static std::tuple<int, size_t, int32_t> key(const PipelineEvent& e) { return {static_cast<int>(e.kind), e.stage, e.chunk}; }

    std::vector<double> now_, busy_;  // each touched by its stage's thread
    std::map<std::tuple<int, size_t, int32_t>, double> at_;
};

}  // namespace

TEST_CASE("pipeline: a stage works on a chunk while the next one has the chunk before") {
    std::mutex mutex;
    std::condition_variable changed;
    int begun = 0;
    bool overlapped = false;
    const std::vector<PipelineStage> stages = {
        [&](const PipelineChunk& c) -> Result<void> {
            const std::lock_guard lock(mutex);
            begun = c.number + 1;
            changed.notify_all();
            return {};
        },
        [&](const PipelineChunk& c) -> Result<void> {
            c.taken();
            if (c.number > 0) return {};
            std::unique_lock lock(mutex);
            overlapped = changed.wait_for(lock, std::chrono::seconds(30), [&] { return begun >= 2; });
            return {};
        }};
    const PipelineEnd end = run_pipeline(3, stages, kAll);
    CHECK(end.outcome);
    CHECK(end.done == 3);
    CHECK(overlapped);
}

TEST_CASE("pipeline: what a stage leaves is not touched until the next one has taken it") {
    constexpr int32_t kChunks = 40;
    int32_t left[2] = {-1, -1};  // by the first two of three stages
    std::vector<int32_t> seen;
    const std::vector<PipelineStage> stages = {
        [&](const PipelineChunk& c) -> Result<void> {
            left[0] = c.number;
            return {};
        },
        [&](const PipelineChunk& c) -> Result<void> {
            const int32_t mine = left[0];
            c.taken();
            left[1] = mine;
            return {};
        },
        [&](const PipelineChunk& c) -> Result<void> {
            seen.push_back(left[1]);
            c.taken();
            return {};
        }};
    CHECK(run_pipeline(kChunks, stages, kAll).done == kChunks);
    REQUIRE(seen.size() == kChunks);
    for (int32_t i = 0; i < kChunks; ++i) CHECK(seen[static_cast<size_t>(i)] == i);
}

TEST_CASE("pipeline: no more chunks begin once it is told to stop, and what has begun is finished") {
    std::vector<int32_t> last;
    const std::vector<PipelineStage> stages = {[&](const PipelineChunk&) -> Result<void> { return {}; },
                                               [&](const PipelineChunk& c) -> Result<void> {
                                                   c.taken();
                                                   last.push_back(c.number);
                                                   return {};
                                               }};
    int asked = 0;
    const PipelineEnd end = run_pipeline(10, stages, [&] { return ++asked < 3; });
    CHECK(end.outcome);
    CHECK(end.done == 3);
    CHECK(last == std::vector<int32_t>{0, 1, 2});
}

TEST_CASE("pipeline: the first error of any stage ends all of them") {
    for (const size_t broken : {0, 1, 2}) {
        CAPTURE(broken);
        std::vector<PipelineStage> stages;
        std::atomic<int> late = 0;
        for (size_t s = 0; s < 3; ++s)
            stages.push_back([&, s](const PipelineChunk& c) -> Result<void> {
                c.taken();
                if (s == broken && c.number == 4) return Error{Errc::device_lost, "gone"};
                if (c.stopping()) {
                    ++late;
                    return Error{Errc::cancelled, "stopped"};
                }
                return {};
            });
        const PipelineEnd end = run_pipeline(100, stages, kAll);
        REQUIRE(!end.outcome);
        CHECK(end.outcome.error().code == Errc::device_lost);
        CHECK(end.done <= 4);
        CHECK(late <= 2);
    }
}

TEST_CASE("pipeline: what a stage throws is thrown to the caller, from whatever thread") {
    for (const size_t broken : {0, 1}) {
        CAPTURE(broken);
        std::vector<PipelineStage> stages;
        for (size_t s = 0; s < 2; ++s)
            stages.push_back([&, s](const PipelineChunk& c) -> Result<void> {
                c.taken();
                if (s == broken && c.number == 2) throw std::runtime_error("a sink's own");
                return {};
            });
        CHECK_THROWS_AS(run_pipeline(50, stages, kAll), std::runtime_error);
    }
}

// The planner's seconds of each device's layers, driven by the pipeline that engines use.
TEST_CASE("pipeline: a prompt of 4096 tokens keeps both devices of modelled laptops busy at the balanced split") {
    constexpr int64_t kTokens = 4096;
    const ModelFacts model = model_12b();
    const auto kChunks = static_cast<int32_t>(kTokens / model.chunk);
    int balanced = 0;
    for (const MachineModel& modelled : modelled_machines()) {
        const MachineFacts& machine = modelled.facts;
        if (!machine.gpu || !machine.gpu->rates.known()) continue;
        CAPTURE(std::string(modelled.name));
        const auto seconds_of = [&](int32_t n) {
            return prefill_seconds(model, machine, {PlacementKind::layers, n, 0}, KvFormat::f16, kTokens);
        };
        int32_t on_gpu = 1;
        for (int32_t n = 1; n < model.layer_count(); ++n)
            if (seconds_of(n) < seconds_of(on_gpu)) on_gpu = n;
        // A chunk of each device's layers: what a plan says of them in a model that has no others.
        const auto chunk_seconds = [&](int32_t first, int32_t last, bool gpu, bool together, int64_t at) {
            ModelFacts some = model;
            some.layers.assign(model.layers.begin() + first, model.layers.begin() + last);
            some.embedding_bytes = 0;
            some.head_macs = 0;
            MachineFacts facts = machine;
            facts.handover_s = 0;
            for (Rates* r : {&facts.cpu, &facts.gpu->rates}) {
                if (together && r->read_gbps_together > 0) r->read_gbps = r->read_gbps_together;
                if (together && r->many_gmacs_together > 0) r->many_gmacs = r->many_gmacs_together;
            }
            const PlannedPlacement alone{gpu ? PlacementKind::gpu : PlacementKind::cpu, gpu ? last - first : 0, 0};
            return prefill_seconds(some, facts, alone, KvFormat::f16, model.chunk, at);
        };
        const int32_t split = model.layer_count() - on_gpu;
        SimulatedClock clock(2);
        std::vector<PipelineStage> stages;
        for (size_t s = 0; s < 2; ++s)
            stages.push_back([&, s](const PipelineChunk& c) -> Result<void> {
                c.taken();
                const int64_t at = c.number * model.chunk;  // the CPU is alone with the first chunk, the GPU with the last
                clock.work(s, s == 0 ? chunk_seconds(0, split, false, c.number > 0, at)
                                     : chunk_seconds(split, model.layer_count(), true, c.number + 1 < kChunks, at));
                return {};
            });
        REQUIRE(run_pipeline(kChunks, stages, kAll, &clock).outcome);
        MESSAGE(std::string(modelled.name), ": ", on_gpu, " layers on the GPU, idle: CPU ", clock.idle_share(0), ", GPU ", clock.idle_share(1),
                "; the plan says ", seconds_of(on_gpu), " s, the clock ", clock.end());
        CHECK(clock.end() == doctest::Approx(seconds_of(on_gpu)).epsilon(0.03));
        // Whole layers cannot always be shared out evenly: a GPU of nine times the CPU leaves it five or six.
        const auto uneven = [&](int32_t layers, double seconds, double other) {
            return std::min(1.0 / layers, std::max(0.0, 1 - seconds / other));
        };
        const double cpu = chunk_seconds(0, split, false, true, 0), gpu = chunk_seconds(split, model.layer_count(), true, true, 0);
        const double cpu_uneven = uneven(split, cpu, gpu), gpu_uneven = uneven(on_gpu, gpu, cpu);
        CHECK(clock.idle_share(0) < 0.15 + cpu_uneven);
        CHECK(clock.idle_share(1) < 0.15 + gpu_uneven);
        if (cpu_uneven < 0.04 && gpu_uneven < 0.04) {
            CHECK(clock.idle_share(0) < 0.15);
            CHECK(clock.idle_share(1) < 0.15);
            ++balanced;
        }
    }
    CHECK(balanced >= 4);
}
