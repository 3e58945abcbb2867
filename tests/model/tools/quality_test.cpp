// perplexity() and kld() against the same figures made from plain rows of logits.
#include <doctest/doctest.h>

#include <cmath>

#include "lapidary/tools.h"
#include "model/tools/kl_stats.h"
#include "tests/support/goldens.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

const char* const kText = "Who are you? I am a tiny demo model of the Gemma 4 architecture. I can read text.";

EngineOptions engine(bool precise = false) {
    return {.model = kTiny, .context = 128, .threads = 2, .precise = precise};
}

// BOS and the text in one go: rows that predict each token, and the tokens.
std::vector<std::vector<float>> plain_rows(const EngineOptions& options, std::vector<int32_t>& ids) {
    const Engine opened = unwrap(Engine::open(options));
    ids = unwrap(opened.tokenize(kText));
    std::vector<int32_t> input = {2};
    input.insert(input.end(), ids.begin(), ids.end() - 1);
    Session session = unwrap(opened.new_session());
    unwrap(session.append(unwrap(opened.tokens(input))));
    return all_rows(session);
}

}  // namespace

TEST_CASE("quality: perplexity is exp of the mean surprise") {
    std::vector<int32_t> ids;
    const auto rows = plain_rows(engine(), ids);
    REQUIRE(rows.size() == ids.size());
    std::vector<double> nll;
    for (size_t i = 0; i < rows.size(); ++i)
        nll.push_back(model::log_sum_exp(rows[i]) - double{rows[i][static_cast<size_t>(ids[i])]});
    const PerplexityReport r = unwrap(perplexity({.engine = engine(), .excerpt = {.text = kText}}));
    CHECK(r.coverage.tokens == ids.size());
    CHECK(r.coverage.contexts == 1);
    CHECK(r.nll.value == model::mean_of(nll).value);  // the same bits in the same order
    CHECK(r.nll.error == model::mean_of(nll).error);
    CHECK(r.nll.error > 0);
    CHECK(r.perplexity.value == std::exp(r.nll.value));
    CHECK(r.perplexity.value > 1);
    CHECK(r.perplexity.value < 2048);
    CHECK(r.model.name == "tiny");
    CHECK(r.seconds > 0);
}

TEST_CASE("quality: divergence of two settings is that of their rows") {
    std::vector<int32_t> ids;
    EngineOptions other = engine();
    other.kv = KvFormat::q8_0;
    const auto base_rows = plain_rows(engine(true), ids), rows = plain_rows(other, ids);
    model::KlStats stats;
    for (size_t i = 0; i < rows.size(); ++i) unwrap(stats.add(base_rows[i], rows[i], ids[i]));
    const Divergence want = stats.figures();
    const KldReport r = unwrap(kld({.model = other, .base = engine(true), .excerpt = {.text = kText}}));
    CHECK(r.divergence.mean.value == want.mean.value);
    CHECK(r.divergence.max == want.max);
    CHECK(r.divergence.ratio.value == want.ratio.value);
    CHECK(want.mean.value > 0);
    CHECK(r.model.kv == KvFormat::q8_0);
    CHECK(r.base.kv == KvFormat::f32);
    CHECK(r.reduced_rows == 0);
}

TEST_CASE("quality: a model does not diverge from itself") {
    const KldReport r = unwrap(kld({.model = engine(), .base = engine(), .excerpt = {.random_tokens = 200}}));
    CHECK(r.divergence.positions == 200);
    CHECK(r.divergence.max == 0);
    CHECK(r.divergence.same_top.value == 1);
    CHECK(r.divergence.p_rms.value == 0);
    CHECK(r.divergence.ratio.value == 1);
    CHECK(r.coverage.contexts == 3);  // 128, then twice 64 and the rest
}

TEST_CASE("quality: short of memory the divergence is understated by what is said") {
    EngineOptions other = engine();
    other.kv = KvFormat::q8_0;
    KldOptions o{.model = other, .base = engine(true), .excerpt = {.random_tokens = 120}};
    const KldReport whole = unwrap(kld(o));
    o.base_rows_bytes = 40 * 2048 * sizeof(float);
    const KldReport part = unwrap(kld(o));
    CHECK(part.reduced_rows == 80);
    CHECK(part.tail_mass > 0);
    CHECK(part.divergence.mean.value < whole.divergence.mean.value);
    CHECK(part.understated.value > 0);
    const double missing = whole.divergence.mean.value - part.divergence.mean.value;
    // 80 of 120 rows lose what 40 others tell: within four standard errors of that mean.
    CHECK(std::abs(missing - part.understated.value * 80 / 120) < 4 * part.understated.error * 80 / 120);
    CHECK(part.divergence.same_top.value == whole.divergence.same_top.value);
    CHECK(part.divergence.base_perplexity.value ==
          doctest::Approx(whole.divergence.base_perplexity.value).epsilon(1e-12));
}

TEST_CASE("quality: what does not go together is refused") {
    const ScratchFolder folder;
    write_small_folder(folder);
    EngineOptions small = engine();
    small.model = folder.path();
    small.context = 0;
    const auto kld_code = [](KldOptions o) { return kld(o).error().code; };
    CHECK(kld_code({.model = engine(), .base = small, .excerpt = {.random_tokens = 5}}) ==
          Errc::invalid_argument);
    EngineOptions absent = engine();
    absent.model = folder.path() / "absent.gguf";
    CHECK(kld_code({.model = absent, .base = engine(), .excerpt = {.random_tokens = 5}}) ==
          Errc::model_not_found);
    CHECK(kld_code({.model = engine(), .base = absent, .excerpt = {.random_tokens = 5}}) ==
          Errc::model_not_found);
    CHECK(perplexity({.engine = small, .excerpt = {.text = "a"}}).error().code == Errc::bad_model_file);
    CHECK(perplexity({.engine = engine()}).error().code == Errc::invalid_argument);
}

TEST_CASE("quality: both can be stopped") {
    std::stop_source source;
    source.request_stop();
    const Excerpt excerpt{.random_tokens = 50};
    CHECK(perplexity({.engine = engine(), .excerpt = excerpt, .cancel = source.get_token()}).error().code ==
          Errc::cancelled);
    CHECK(kld({.model = engine(), .base = engine(), .excerpt = excerpt, .cancel = source.get_token()})
              .error()
              .code == Errc::cancelled);
}
