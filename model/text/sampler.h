// Chooses the next token from a row of logits (after the soft cap): temperature, top-k, top-p, min-p, in the
// order of the reference implementation, or the greatest logit. Its own random numbers make a seed give
// the same choices on every platform. One sampler per stream.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

// SplitMix64 (Steele, Lea, Flood 2014): a counter stepped by 0x9E3779B97F4A7C15 and mixed. One step a number.
class RandomStream {
  public:
    explicit RandomStream(uint64_t seed) : state_(seed) {}
    uint64_t next();
    double next_unit();  // in [0, 1), the upper 53 bits

  private:
    uint64_t state_;
};

struct SamplerOptions {
    float temperature = 1.0f;  // 0: greedy, equal logits go to the lowest id
    int top_k = 0;             // 0: off; ties with the k-th logit stay in
    float top_p = 1.0f;        // 1: off; the smallest set of at least this mass, at least one token
    float min_p = 0.0f;        // 0: off; drops tokens below this part of the greatest probability
    uint64_t seed = 0;
    std::vector<int32_t> suppressed = {};  // ids that are never chosen, also when greedy
    bool want_logprobs = false;
    int top_alternatives = 0;  // with want_logprobs: how many of the most probable tokens to report
};

struct TokenLogprob {
    int32_t id = 0;
    float logprob = 0.0f;  // natural logarithm
};

// A token and its logit.
struct Ranked {
    int32_t id = 0;
    float logit = 0.0f;
};

struct Sample {
    int32_t id = 0;
    // With want_logprobs: under the model's own distribution (temperature 1, nothing cut but what may not be chosen).
    float logprob = 0.0f;
    std::vector<TokenLogprob> alternatives;  // by falling logprob, then rising id
};

class Sampler {
  public:
    static Result<Sampler> create(SamplerOptions options, int32_t vocabulary_size);

    // Which tokens may be chosen: bit id % 32 of word id / 32, without those that are suppressed; empty: all.
    std::span<const uint32_t> allowed() const { return allowed_; }

    // `logits` must have vocabulary_size entries. NaN, +infinity or no choosable token is an error. `mask`: what may be chosen
    // now, in place of allowed() and none that is suppressed.
    Result<Sample> sample(std::span<const float> logits, std::span<const uint32_t> mask = {});

    // The same from the best tokens alone that may be chosen, greatest logit first, equal ones by id, NaN before all: how many are
    // enough (0: only the whole row is), and the choice; nothing where they leave it open after all, as with many equal logits.
    // Fewer than wanted are all there are.
    int32_t best_wanted() const;
    std::optional<Sample> sample_best(std::span<const Ranked> best);

  private:
    struct Candidate {
        int32_t id;
        float logit;
        double weight;  // exp((logit - greatest) / temperature)
    };

    Sampler(SamplerOptions options, int32_t vocabulary_size);
    bool is_suppressed(int32_t id) const {
        return !now_.empty() && (now_[static_cast<size_t>(id) / 32] >> (id % 32) & 1) == 0;
    }
    Result<int32_t> greatest(std::span<const float> logits) const;
    int32_t draw(std::span<const float> logits, float greatest_logit);
    void collect(std::span<const float> logits, float greatest_logit);
    void add_candidate(int32_t id, float logit, float greatest_logit);
    int32_t draw_candidate();  // one of those collected
    float top_k_threshold(std::span<const float> logits);
    void cut_top_p();
    void add_logprobs(std::span<const float> logits, float greatest_logit, Sample& sample) const;

    SamplerOptions options_;
    int32_t vocabulary_size_;
    std::vector<uint32_t> allowed_;
    std::span<const uint32_t> now_;      // of the row that is being sampled: allowed_ or the caller's
    RandomStream random_;
    std::vector<Candidate> candidates_;  // scratch, kept between calls
    std::vector<float> best_logits_;     // scratch: min-heap of the k greatest
};

}  // namespace lapidary::model
