// An engine of random layers whose steps are timed. Used by model/tools/rates/calibrator.cpp.
#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "model/engine_state.h"
#include "model/synth/synth.h"

namespace lapidary::model {

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
    Result<Session*> past(const Step& step);

    std::optional<Engine> engine_;
    runtime::ModelFacts facts_;
    double last_kv_macs_ = 0;
    std::map<std::pair<int32_t, KvFormat>, Session> pasts_;  // by depth; short steps go on from them and back
    std::stop_token cancel_;
};

}  // namespace lapidary::model
