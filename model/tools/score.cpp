// Windows over a text, and the forward passes over them; see score.h.
#include "model/tools/score.h"

#include <algorithm>
#include <random>
#include <string>

#include "base/try.h"
#include "model/engine_state.h"

namespace lapidary::model {
namespace {

Error stopped() { return {Errc::cancelled, "stopped on request"}; }

Result<std::vector<int32_t>> excerpt_ids(const Engine& engine, const Excerpt& excerpt) {
    if ((excerpt.text.empty() ? 0 : 1) + (excerpt.ids.empty() ? 0 : 1) + (excerpt.random_tokens ? 1 : 0) != 1)
        return Error{Errc::invalid_argument, "an excerpt is one of a text, token ids and random tokens",
                     "give a text that is not empty"};
    if (!excerpt.ids.empty()) return excerpt.ids;
    if (excerpt.random_tokens > 0) {
        std::mt19937_64 gen(excerpt.seed);
        std::vector<int32_t> ids(excerpt.random_tokens);
        for (int32_t& id : ids) id = static_cast<int32_t>(gen() % static_cast<uint64_t>(engine.info().vocab));
        return ids;
    }
    return engine.tokenize(excerpt.text, {.special = excerpt.special});
}

// The rows of one session, window after window.
class Runner {
  public:
    Runner(const Engine& engine, Session session, const Passage& passage, const ScoreSink& sink,
           const std::stop_token& cancel)
        : engine_(engine), session_(std::move(session)), passage_(passage), sink_(sink), cancel_(cancel) {}

    Result<void> run(const ScoreWindow& w) {
        const auto text =
            std::span(passage_.ids)
                .subspan(static_cast<size_t>(w.begin), static_cast<size_t>(w.end - w.begin - 1));
        std::vector<int32_t> input;
        if (passage_.bos >= 0) input.push_back(passage_.bos);
        input.insert(input.end(), text.begin(), text.end());
        // The rows before the first that is wanted are past: no logits are computed for them.
        const auto fresh = static_cast<size_t>(static_cast<int64_t>(input.size()) - (w.end - w.scored));
        LAP_TRY(session_.rewind(0));
        token_ = w.scored;
        if (fresh == 0) return forward(input, Rows::all);
        LAP_TRY(forward(std::span(input).first(fresh + 1), Rows::last));
        if (fresh + 1 == input.size()) return {};
        return forward(std::span(input).subspan(fresh + 1), Rows::all);
    }

  private:
    Result<void> forward(std::span<const int32_t> ids, Rows rows) {
        LAP_ASSIGN(const Prompt prompt, engine_.tokens(ids));
        LAP_TRY(session_.append(prompt));
        Result<void> problem;
        const auto take = [&](int64_t, std::span<const float> logits) {
            problem = sink_(index_++, logits, passage_.ids[static_cast<size_t>(token_++)]);
            return problem ? Flow::go : Flow::stop;
        };
        LAP_TRY(session_.forward({.rows = rows, .cancel = cancel_}, take));
        return problem;
    }

    const Engine& engine_;
    Session session_;
    const Passage& passage_;
    const ScoreSink& sink_;
    const std::stop_token& cancel_;
    int64_t index_ = 0, token_ = 0;  // rows given; the token that the next row predicts
};

}  // namespace

std::vector<ScoreWindow> plan_windows(int64_t tokens, int64_t context, int64_t stride, bool bos) {
    const int64_t length =
        bos ? context : context + 1;  // of the text in a window: the last token is no input
    std::vector<ScoreWindow> windows;
    int64_t scored = bos ? 0 : 1, end = std::min(length, tokens);
    for (;;) {
        windows.push_back({std::max<int64_t>(0, end - length), scored, end});
        if (end == tokens) return windows;
        scored = end;
        end = std::min(tokens, end + stride);
    }
}

Result<Passage> make_passage(const Engine& engine, const Excerpt& excerpt, uint32_t context,
                             uint32_t stride) {
    Passage out;
    LAP_ASSIGN(out.ids, excerpt_ids(engine, excerpt));
    LAP_TRY(engine.tokens(out.ids));  // refuses what is outside the vocabulary
    out.bos = model::Access::state(engine).loaded.config.ids.bos;
    if (out.bos >= 0 && !out.ids.empty() && out.ids.front() == out.bos) out.ids.erase(out.ids.begin());
    if (excerpt.limit > 0 && out.ids.size() > excerpt.limit) out.ids.resize(excerpt.limit);
    const size_t least = out.bos >= 0 ? 1 : 2;
    if (out.ids.size() < least)
        return Error{Errc::invalid_argument,
                     "the excerpt has " + std::to_string(out.ids.size()) + " tokens, too few to predict one",
                     "give a longer text"};
    Coverage& c = out.coverage;
    c.context = context > 0 ? context : std::min(kDefaultWindow, engine.info().context);
    c.stride = stride > 0 ? stride : std::max<uint32_t>(1, c.context / 2);
    if (c.stride > c.context)
        return Error{Errc::invalid_argument,
                     "a stride of " + std::to_string(c.stride) + " skips tokens between contexts of " +
                         std::to_string(c.context),
                     "use a stride from 1 to the context"};
    out.windows = plan_windows(static_cast<int64_t>(out.ids.size()), c.context, c.stride, out.bos >= 0);
    c.contexts = out.windows.size();
    c.tokens = out.ids.size() - (out.bos >= 0 ? 0 : 1);
    return out;
}

Result<void> score(const Engine& engine, const Passage& passage, std::string_view stage,
                   const ProgressSink& progress, const std::stop_token& cancel, const ScoreSink& sink) {
    LAP_ASSIGN(Session session, engine.new_session());
    Runner runner(engine, std::move(session), passage, sink, cancel);
    uint64_t done = 0;
    if (progress && !progress(stage, done, passage.coverage.tokens)) return stopped();
    for (const ScoreWindow& w : passage.windows) {
        LAP_TRY(runner.run(w));
        if (cancel.stop_requested()) return stopped();
        done += static_cast<uint64_t>(w.end - w.scored);
        if (progress && !progress(stage, done, passage.coverage.tokens)) return stopped();
    }
    return {};
}

}  // namespace lapidary::model
