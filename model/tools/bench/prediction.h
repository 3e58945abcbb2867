// What the planner says a test of the bench will do, by rates that are kept or measured between the passes.
#pragma once

#include <optional>

#include "model/tools/bench/cases.h"
#include "model/tools/rates/calibrator.h"

namespace lapidary::model {

class Prediction {
  public:
    // Of an engine that these options opened. With BenchOptions::calibrate layers of its shapes are made beside it.
    static Result<Prediction> create(const BenchOptions& options, const Engine& engine);

    // Before and behind each repetition: measures, if that was asked for.
    Result<void> round();
    // Of the test whose repetitions are done; what was measured between them is forgotten. 0: not known.
    double tokens_per_second(const BenchCase& what);

  private:
    runtime::ModelFacts model_;
    runtime::MachineFacts machine_;
    runtime::PlannedPlacement placement_;
    runtime::KvFormat kv_ = runtime::KvFormat::f16;
    std::optional<Calibrator> calibrator_;
};

}  // namespace lapidary::model
