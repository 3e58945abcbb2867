// Sampling without a full sort: top-k keeps a heap of k logits, top-p pops a heap until its mass is reached.
// Sums are double, so that 262,144 small weights do not lose the tail.
#include "model/text/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::model {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

Error invalid(std::string message, std::string hint) {
    return {Errc::invalid_argument, std::move(message), std::move(hint)};
}

// What may be said is the model file's affair, not the caller's.
Error none_left() {
    return {Errc::bad_model_file, "the model forbids every token it could say: suppress_tokens, or scores of -infinity",
            "leave some token out of suppress_tokens, or fetch the model again"};
}

// Higher logit first, then lower id: a total order, so that results do not depend on the heap's innards.
template <class T>
bool goes_before(float logit_a, T id_a, float logit_b, T id_b) {
    return logit_a != logit_b ? logit_a > logit_b : id_a < id_b;
}

}  // namespace

uint64_t RandomStream::next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

double RandomStream::next_unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

Result<Sampler> Sampler::create(SamplerOptions options, int32_t vocabulary_size) {
    if (vocabulary_size < 1) return invalid(concat("a vocabulary of ", vocabulary_size), "give its size");
    if (!(options.temperature >= 0.0f && std::isfinite(options.temperature)))
        return invalid(concat("Sampling::temperature is ", options.temperature), "give 0 (greedy) or more");
    if (options.top_k < 0) return invalid(concat("Sampling::top_k is ", options.top_k), "give 0 (off) or more");
    if (!(options.top_p > 0.0f && options.top_p <= 1.0f))
        return invalid(concat("Sampling::top_p is ", options.top_p), "give a number above 0, at most 1 (off)");
    if (!(options.min_p >= 0.0f && options.min_p <= 1.0f))
        return invalid(concat("Sampling::min_p is ", options.min_p), "give a number from 0 (off) to 1");
    if (options.top_alternatives < 0) return invalid(concat(options.top_alternatives, " alternatives"), "give 0 or more");
    for (const int32_t id : options.suppressed)
        if (id < 0 || id >= vocabulary_size)
            return invalid(concat("the suppressed id ", id, " is outside the vocabulary of ", vocabulary_size),
                           concat("give ids from 0 to ", vocabulary_size - 1));
    Sampler sampler(std::move(options), vocabulary_size);
    if (!sampler.allowed_.empty() && std::all_of(sampler.allowed_.begin(), sampler.allowed_.end(), [](auto word) { return word == 0; }))
        return none_left();
    return sampler;
}

Sampler::Sampler(SamplerOptions options, int32_t vocabulary_size)
    : options_(std::move(options)),
      vocabulary_size_(vocabulary_size),
      random_(options_.seed) {
    options_.top_k = std::min(options_.top_k, vocabulary_size);
    if (options_.suppressed.empty()) return;
    allowed_.assign((static_cast<size_t>(vocabulary_size) + 31) / 32, UINT32_MAX);
    if (vocabulary_size % 32 != 0) allowed_.back() = (1u << (vocabulary_size % 32)) - 1;
    for (const int32_t id : options_.suppressed) allowed_[static_cast<size_t>(id) / 32] &= ~(1u << (id % 32));
}

Result<Sample> Sampler::sample(std::span<const float> logits, std::span<const uint32_t> mask) {
    now_ = mask.empty() ? std::span<const uint32_t>(allowed_) : mask;
    if (logits.size() != static_cast<size_t>(vocabulary_size_))
        return invalid(concat(logits.size(), " logits for a vocabulary of ", vocabulary_size_), "give one logit for every token");
    LAP_ASSIGN(const int32_t best, greatest(logits));
    Sample sample;
    sample.id = options_.temperature == 0.0f ? best : draw(logits, logits[best]);
    if (options_.want_logprobs) add_logprobs(logits, logits[best], sample);
    return sample;
}

int32_t Sampler::best_wanted() const {
    if (options_.want_logprobs) return 0;
    if (options_.temperature == 0.0f) return 1;
    return options_.top_k == 0 ? 0 : options_.top_k + 1;  // one more, to see that no equal one is missing
}

std::optional<Sample> Sampler::sample_best(std::span<const Ranked> best) {
    // What is no number is a matter of the whole row: its error names the token.
    if (best.empty() || !std::isfinite(best.front().logit)) return {};
    const size_t k = options_.temperature == 0.0f ? 1 : static_cast<size_t>(options_.top_k);
    std::vector<Ranked> kept;  // the k greatest, and those equal to the last of them
    bool complete = best.size() < static_cast<size_t>(best_wanted()) || best.size() == static_cast<size_t>(vocabulary_size_);
    for (const Ranked& token : best) {
        if (token.logit == kMinusInfinity || (kept.size() >= k && token.logit < kept[k - 1].logit)) {
            complete = true;
            break;
        }
        kept.push_back(token);
    }
    if (kept.empty()) return {};
    const Ranked first = kept.front();
    if (options_.temperature == 0.0f) return Sample{first.id, 0.0f, {}};
    if (!complete) return {};
    std::sort(kept.begin(), kept.end(), [](const Ranked& a, const Ranked& b) { return a.id < b.id; });
    candidates_.clear();
    for (const Ranked& token : kept) add_candidate(token.id, token.logit, first.logit);
    return Sample{draw_candidate(), 0.0f, {}};
}

Result<int32_t> Sampler::greatest(std::span<const float> logits) const {
    int32_t best = -1;
    for (int32_t id = 0; id < vocabulary_size_; ++id) {
        const float logit = logits[id];
        if (!(logit <= std::numeric_limits<float>::max()))
            return Error{Errc::bad_model_file,
                         concat("the model's scores are no numbers: that of token ", id, " is ",
                                std::isnan(logit) ? "NaN" : "infinite"),
                         "its weights hold NaN or infinity, or numbers far too large; fetch or convert the model again"};
        if (is_suppressed(id) || logit == kMinusInfinity) continue;
        if (best < 0 || logit > logits[best]) best = id;
    }
    if (best < 0) return none_left();
    return best;
}

int32_t Sampler::draw(std::span<const float> logits, float greatest_logit) {
    collect(logits, greatest_logit);
    return draw_candidate();
}

int32_t Sampler::draw_candidate() {
    if (options_.top_p < 1.0f) cut_top_p();
    if (options_.min_p > 0.0f)  // the greatest weight is 1
        std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.weight < double{options_.min_p}; });
    double mass = 0.0;
    for (const Candidate& candidate : candidates_) mass += candidate.weight;
    double rest = random_.next_unit() * mass;
    int32_t last_possible = candidates_.front().id;
    for (const Candidate& candidate : candidates_) {
        if (candidate.weight == 0.0) continue;  // underflowed: probability zero
        last_possible = candidate.id;
        rest -= candidate.weight;
        if (rest < 0.0) break;
    }
    return last_possible;
}

void Sampler::collect(std::span<const float> logits, float greatest_logit) {
    const float threshold = top_k_threshold(logits);
    candidates_.clear();
    for (int32_t id = 0; id < vocabulary_size_; ++id) {
        const float logit = logits[id];
        if (logit < threshold || logit == kMinusInfinity || is_suppressed(id)) continue;
        add_candidate(id, logit, greatest_logit);
    }
}

void Sampler::add_candidate(int32_t id, float logit, float greatest_logit) {
    const double distance = double{logit} - double{greatest_logit}, temperature = options_.temperature;
    candidates_.push_back({id, logit, std::exp(distance / temperature)});
}

// The k-th greatest logit that can be chosen; -infinity if all can stay.
float Sampler::top_k_threshold(std::span<const float> logits) {
    if (options_.top_k == 0 || options_.top_k >= vocabulary_size_) return kMinusInfinity;
    const auto k = static_cast<size_t>(options_.top_k);
    best_logits_.clear();
    for (int32_t id = 0; id < vocabulary_size_; ++id) {
        const float logit = logits[id];
        const bool full = best_logits_.size() == k;
        if (is_suppressed(id) || (full && logit <= best_logits_.front())) continue;
        if (full) {
            std::pop_heap(best_logits_.begin(), best_logits_.end(), std::greater<>());
            best_logits_.pop_back();
        }
        best_logits_.push_back(logit);
        std::push_heap(best_logits_.begin(), best_logits_.end(), std::greater<>());
    }
    return best_logits_.size() < k ? kMinusInfinity : best_logits_.front();
}

// Keeps tokens in falling order while the mass before them is below top_p.
void Sampler::cut_top_p() {
    double total = 0.0;
    for (const Candidate& candidate : candidates_) total += candidate.weight;
    const auto later = [](const Candidate& a, const Candidate& b) {
        return goes_before(b.logit, b.id, a.logit, a.id);
    };
    std::make_heap(candidates_.begin(), candidates_.end(), later);
    const double wanted = options_.top_p * total;
    double mass = 0.0;
    auto end = candidates_.end();  // what was popped lies in [end, candidates_.end()), the greatest last
    while (end != candidates_.begin() && mass < wanted) {
        std::pop_heap(candidates_.begin(), end, later);
        --end;
        mass += end->weight;
    }
    candidates_.erase(candidates_.begin(), end);
    std::reverse(candidates_.begin(), candidates_.end());
}

void Sampler::add_logprobs(std::span<const float> logits, float greatest_logit, Sample& sample) const {
    double mass = 0.0;
    std::vector<TokenLogprob> best;  // heap of logits: the weakest of the kept ones in front
    const auto before = [](const TokenLogprob& a, const TokenLogprob& b) {
        return goes_before(a.logprob, a.id, b.logprob, b.id);
    };
    const auto wanted = static_cast<size_t>(options_.top_alternatives);
    for (int32_t id = 0; id < vocabulary_size_; ++id) {
        if (is_suppressed(id) || logits[id] == kMinusInfinity) continue;
        mass += std::exp(double{logits[id]} - double{greatest_logit});
        const TokenLogprob entry{id, logits[id]};
        if (wanted == 0 || (best.size() == wanted && !before(entry, best.front()))) continue;
        if (best.size() == wanted) {
            std::pop_heap(best.begin(), best.end(), before);
            best.pop_back();
        }
        best.push_back(entry);
        std::push_heap(best.begin(), best.end(), before);
    }
    const double log_total = double{greatest_logit} + std::log(mass);
    std::sort(best.begin(), best.end(), before);
    for (TokenLogprob& entry : best) entry.logprob = static_cast<float>(entry.logprob - log_total);
    sample.logprob = static_cast<float>(logits[sample.id] - log_total);
    sample.alternatives = std::move(best);
}

}  // namespace lapidary::model
