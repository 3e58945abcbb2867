// perplexity() and kld() of tools.h: models judged by a text.
#include <algorithm>
#include <cmath>
#include <new>
#include <string>

#include "base/try.h"
#include "lapidary/tools.h"
#include "model/tools/base_rows.h"
#include "model/tools/kl_stats.h"
#include "model/tools/score.h"
#include "model/session_state.h"

namespace lapidary {
namespace {

// What the base has left behind when it is closed.
struct BaseRun {
    ModelInfo info;
    model::Passage passage;
    model::BaseRows rows;
};

Error other_vocabulary(int32_t base, int32_t model) {
    return {Errc::invalid_argument,
            "the base has " + std::to_string(base) + " tokens, the model " + std::to_string(model),
            "compare models of one vocabulary"};
}

Result<BaseRun> run_base(const KldOptions& o) {
    LAP_ASSIGN(const ModelReport other,
               inspect(o.model));  // what is wrong with it is said before the base runs
    EngineOptions base = o.base;
    base.context = o.model.context;
    base.needs.text = base.needs.text || !o.excerpt.text.empty();
    LAP_ASSIGN(const Engine engine, Engine::open(base));
    if (engine.info().vocab != other.info.vocab)
        return other_vocabulary(engine.info().vocab, other.info.vocab);
    const uint32_t both = std::min({model::kDefaultWindow, engine.info().context, other.info.context});
    LAP_ASSIGN(auto passage, model::make_passage(engine, o.excerpt,
                                                 o.model.context > 0 ? o.model.context : both, o.stride));
    model::BaseRows rows(static_cast<int64_t>(passage.coverage.tokens), engine.info().vocab,
                         o.base_rows_bytes);
    LAP_TRY(model::score(
        engine, passage, "base", o.progress, o.cancel,
        [&](int64_t, std::span<const float> logits, int32_t target) { return rows.put(logits, target); }));
    return BaseRun{engine.info(), std::move(passage), std::move(rows)};
}

Result<void> check_same_ids(const Engine& engine, const Excerpt& excerpt, const model::Passage& base) {
    if (excerpt.text.empty() || !engine.info().text) return {};
    LAP_ASSIGN(const auto own,
               model::make_passage(engine, excerpt, base.coverage.context, base.coverage.stride));
    if (own.ids == base.ids && own.bos == base.bos) return {};
    return Error{Errc::invalid_argument, "the two models cut the text into different tokens",
                 "give token ids in Excerpt::ids"};
}

}  // namespace

Result<PerplexityReport> perplexity(const PerplexityOptions& options) try {
    EngineOptions opened = options.engine;
    opened.needs.text = opened.needs.text || !options.excerpt.text.empty();
    LAP_ASSIGN(const Engine engine, Engine::open(opened));
    LAP_ASSIGN(const model::Passage passage,
               model::make_passage(engine, options.excerpt, options.engine.context, options.stride));
    std::vector<double> nll;
    nll.reserve(passage.coverage.tokens);
    const model::Stopwatch watch;
    LAP_TRY(model::score(engine, passage, "score", options.progress, options.cancel,
                         [&](int64_t index, std::span<const float> logits, int32_t target) -> Result<void> {
                             nll.push_back(model::log_sum_exp(logits) -
                                           double{logits[static_cast<size_t>(target)]});
                             if (!std::isfinite(nll.back())) return model::no_numbers(index);
                             return {};
                         }));
    PerplexityReport report;
    report.seconds = watch.seconds();
    report.model = engine.info();
    report.coverage = passage.coverage;
    report.nll = model::mean_of(nll);
    const double value = std::exp(report.nll.value);
    report.perplexity = {value, value * report.nll.error};
    return report;
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<KldReport> kld(const KldOptions& options) try {
    const model::Stopwatch watch;
    LAP_ASSIGN(BaseRun base, run_base(options));
    LAP_ASSIGN(const Engine engine, Engine::open(options.model));
    LAP_TRY(check_same_ids(engine, options.excerpt, base.passage));
    model::KlStats stats;
    LAP_TRY(model::score(engine, base.passage, "score", options.progress, options.cancel,
                         [&](int64_t index, std::span<const float> logits, int32_t target) {
                             return stats.add(base.rows.compare(index, logits, target));
                         }));
    KldReport report;
    report.seconds = watch.seconds();
    report.model = engine.info();
    report.base = base.info;
    report.coverage = base.passage.coverage;
    report.divergence = stats.figures();
    report.reduced_rows = static_cast<uint64_t>(base.rows.reduced());
    report.tail_mass = base.rows.tail_mass();
    report.understated = base.rows.understated();
    return report;
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
