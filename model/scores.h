// Scores of tokens: the head of the model, and what it leaves on the device.
#pragma once

#include <functional>
#include <span>

#include "lapidary/result.h"
#include "model/stage.h"

namespace lapidary::model {

// The scores of one row after the soft cap, where the device has them.
class Scores {
  public:
    Scores(runtime::Device& device, const runtime::TensorView& logits, std::span<const runtime::Candidate> best)
        : device_(device), logits_(logits), best_(best) {}

    std::span<const runtime::Candidate> best() const { return best_; }  // as many as the step asked for
    Result<std::span<const float>> all() const;                         // [V], brought back now; valid in the sink

  private:
    runtime::Device& device_;
    runtime::TensorView logits_;
    std::span<const runtime::Candidate> best_;
};

// row counts from 0 among the rows wanted. False: enough. An error of Scores ends the step with it.
using RowSink = std::function<Result<bool>(int32_t row, const Scores& scores)>;

// Final norm, tied head and soft cap for `count` columns from `first` on, and the best candidates where wanted.
void note_head(const Stage& stage, const runtime::StepKey& key, int32_t first, int32_t count);

// The rows wanted of a step that has run, of which the first kLogitsRows have been through the head already.
Result<void> hand_out(const Stage& stage, const Step& step, const RowSink& sink);

}  // namespace lapidary::model
