// Runs one repetition of a measurement: short pieces of the forward pass, and between them probes of what the
// machine could do at that moment. Used by model/tools/bench.cpp.
#pragma once

#include <optional>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/tools/bench/cases.h"
#include "model/tools/bench/step_cost.h"

namespace lapidary::model {

// The machine just now.
struct Probe {
    double gbps = 0, gmacs = 0;
};
// Some consecutive steps, and the mean of the probes before and after them.
struct Piece {
    double seconds = 0;
    StepCost cost;
    Probe machine;

    // 0 where the machine's figure is not known.
    double bandwidth_share() const { return machine.gbps > 0 ? static_cast<double>(cost.bytes) / seconds / 1e9 / machine.gbps : 0; }
    double peak_share() const { return machine.gmacs > 0 ? cost.macs / seconds / 1e9 / machine.gmacs : 0; }
};
struct Repetition {
    std::vector<Piece> pieces;
    std::vector<Probe> probes;          // all of them
    std::vector<double> token_seconds;  // tg
    double step_seconds = 0;            // cols: of one step of n tokens, and of one token just before
    double single_seconds = 0, step_macs = 0;
    std::string hash;                   // of the last logits

    double seconds() const;
};

// Told between what is timed: so much of BenchCase::work() is done since the last call. False: stop.
using WorkSink = std::function<bool(int64_t work)>;

class BenchRunner {
  public:
    // made_up: the past of tests at depth is not computed.
    static Result<BenchRunner> create(const Engine& engine, bool made_up, std::stop_token cancel);

    // The past of the runs that follow, unless it is that of the runs before: so many tokens.
    Result<void> prepare(int depth, const WorkSink& done = {});

    // Goes on from the past, which was prepared, in a session of its own. What is left of the work when it returns is
    // not told.
    Result<Repetition> run(const BenchCase& what, const WorkSink& done = {});

    uint64_t probe_bytes() const { return buffer_->bytes; }

  private:
    BenchRunner(const Engine& engine, bool made_up, std::stop_token cancel)
        : engine_(engine), made_up_(made_up), cancel_(std::move(cancel)) {}

    Probe probe(Repetition& out) const;
    // Appends the tokens and computes them as one step; the time and the cost are added to the piece.
    Result<double> step(Session& session, std::span<const int32_t> ids, Rows rows, Piece& piece);
    Result<void> forward(Session& session, std::span<const int32_t> ids, Rows rows, const ProgressSink& progress = {});
    Result<void> fill(Session& session, std::span<const int32_t> ids, const WorkSink& done);
    template <class Work>
    Result<void> piece(Repetition& out, const Work& work);
    Result<void> run_prompt(Session& session, std::span<const int32_t> ids, Repetition& out);
    Result<void> run_tokens(Session& session, std::span<const int32_t> ids, const WorkSink& done, Repetition& out);
    Result<void> run_columns(Session& session, std::span<const int32_t> ids, int n, Repetition& out);

    const Engine& engine_;
    bool made_up_;
    std::stop_token cancel_;
    std::optional<Session> past_;
    runtime::Buffer buffer_;     // what the bandwidth probe reads
    std::vector<float> logits_;  // of the last token; hashed outside the timing
};

}  // namespace lapidary::model
