// What this machine reads and multiplies in steps of layers like a model's: on the CPU, on the GPU, and on both at once. For
// `tune`, and for `bench` between its passes.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "lapidary/tools.h"
#include "model/engine_state.h"
#include "model/synth/synth.h"
#include "runtime/plan/rates_store.h"

namespace lapidary::model {

// An engine of random layers whose steps are timed.
class Subject {
  public:
    struct Step {
        int32_t columns = 1, depth = 0;  // tokens; behind so many made-up ones
        KvFormat kv = KvFormat::f16;
    };
    struct Work {  // of a step's products
        double macs = 0, bytes = 0;
    };

    static Result<Subject> open(const SynthOptions& layers, const EngineOptions& engine, const runtime::PlannedPlacement& placement,
                                std::stop_token cancel);

    const runtime::ModelFacts& facts() const { return facts_; }
    // Of the last layer only keys and values of all tokens are wanted, the rest for the last one.
    Work work(int32_t columns) const;
    // Multiply-adds of attention beyond those at depth 0.
    double attention_macs(const Step& step) const;

    Result<double> seconds(const Step& step);

  private:
    std::vector<int32_t> ids(int32_t count) const;
    Result<double> timed(const Step& step);
    Result<Session*> past(const Step& step);

    std::optional<Engine> engine_;
    runtime::ModelFacts facts_;
    double last_kv_macs_ = 0;
    std::map<std::pair<int32_t, KvFormat>, Session> pasts_;  // by depth; short steps go on from them and back
    std::stop_token cancel_;
};

// One device's steps, in turns, so that a machine whose speed swings is the same for all of them.
class Meter {
  public:
    // Computes each kind of step once, of which much is prepared by the first.
    static Result<Meter> open(const CalibrateOptions& options, const EngineOptions& engine, runtime::PlacementKind device);

    // Each kind of step, for about so many seconds.
    Result<void> round(double seconds);
    void forget() { for (auto& times : seconds_) times.clear(); }
    runtime::Rates rates() const;  // by the medians of the rounds; there was one

    Subject& subject() { return subject_; }
    const Subject& subject() const { return subject_; }
    int32_t long_columns() const { return steps_[kMany].columns; }

  private:
    enum Kind : size_t { kOne, kFew, kMany, kDeep, kNearF16, kFarF16, kNearQ8, kFarQ8, kKinds };

    explicit Meter(Subject subject) : subject_(std::move(subject)) {}
    Result<int32_t> long_step(double seconds);
    double median_of(Kind kind) const;
    double token_rate(Kind near, Kind far) const;

    Subject subject_;
    std::array<Subject::Step, kKinds> steps_;
    std::array<std::vector<double>, kKinds> seconds_;
};

class Calibrator {
  public:
    // The GPU that the options name, if they name one. does_not_fit where there is no room for the layers.
    static Result<Calibrator> open(const CalibrateOptions& options);

    Result<void> round(double seconds);
    // Both devices at once for so long each, where there are two; replaces what was measured so before.
    Result<void> round_together(double seconds);
    void forget();  // all rounds of one device alone
    runtime::MeasuredRates rates() const;

  private:
    explicit Calibrator(Meter cpu) : cpu_(std::move(cpu)) {}

    Meter cpu_;
    std::optional<Meter> gpu_;
    double split_seconds_ = 0, sliver_seconds_ = 0;  // of a token whose layers, or rows, are on both
    struct Together {           // steps per second
        double cpu = 0, gpu = 0;
    } reading_, multiplying_;
    static Result<Together> together(Meter& cpu, Meter& gpu, bool long_steps, double seconds);
};

}  // namespace lapidary::model
