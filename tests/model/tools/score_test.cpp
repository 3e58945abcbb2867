// Windows: every token predicted once, with the past it should have; rows against a plain forward pass.
#include "model/tools/score.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::model;
using namespace lapidary::test;

namespace {

Engine tiny(uint32_t context = 64) {
    return unwrap(Engine::open({.model = kTiny, .context = context, .threads = 2}));
}

using Row = std::vector<float>;

// Rows and targets of a whole passage.
struct Scored {
    std::vector<Row> rows;
    std::vector<int32_t> targets;
};
Scored run(const Engine& engine, const Passage& passage) {
    Scored out;
    unwrap(score(engine, passage, "score", {}, {},
                 [&](int64_t index, auto logits, int32_t target) -> Result<void> {
                     CHECK(index == static_cast<int64_t>(out.rows.size()));
                     out.rows.emplace_back(logits.begin(), logits.end());
                     out.targets.push_back(target);
                     return {};
                 }));
    return out;
}

Row last_row(const Engine& engine, std::vector<int32_t> ids) {
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.tokens(ids))));
    Row row;
    unwrap(session.forward({.rows = Rows::last}, [&](int64_t, std::span<const float> logits) {
        row.assign(logits.begin(), logits.end());
        return Flow::go;
    }));
    return row;
}

}  // namespace

TEST_CASE("score: windows worked out by hand") {
    using W = std::vector<ScoreWindow>;
    CHECK(plan_windows(10, 4, 2, true) == W{{0, 0, 4}, {2, 4, 6}, {4, 6, 8}, {6, 8, 10}});
    CHECK(plan_windows(9, 4, 2, true) == W{{0, 0, 4}, {2, 4, 6}, {4, 6, 8}, {5, 8, 9}});
    CHECK(plan_windows(9, 4, 2, false) == W{{0, 1, 5}, {2, 5, 7}, {4, 7, 9}});
    CHECK(plan_windows(3, 8, 4, true) == W{{0, 0, 3}});
    CHECK(plan_windows(1, 1, 1, true) == W{{0, 0, 1}});
    CHECK(plan_windows(2, 1, 1, false) == W{{0, 1, 2}});
}

TEST_CASE("score: every token is predicted once, in windows that fit") {
    for (const bool bos : {false, true})
        for (int64_t tokens = 2; tokens < 40; ++tokens)
            for (int64_t context = 1; context < 12; ++context)
                for (int64_t stride = 1; stride <= context; ++stride) {
                    CAPTURE(tokens);
                    CAPTURE(context);
                    CAPTURE(stride);
                    CAPTURE(bos);
                    int64_t next = bos ? 0 : 1;
                    bool fits = true;
                    for (const ScoreWindow& w : plan_windows(tokens, context, stride, bos)) {
                        const int64_t input = w.end - w.begin - 1 + (bos ? 1 : 0);
                        fits = fits && w.scored == next && w.end > w.scored && input <= context &&
                               (bos || w.scored > w.begin) && w.begin <= w.scored;
                        next = w.end;
                    }
                    REQUIRE(fits);
                    REQUIRE(next == tokens);
                }
}

TEST_CASE("score: rows are those of a plain forward pass over BOS and the window's past, bit for bit") {
    const Engine engine = tiny();
    const Passage passage = unwrap(make_passage(engine, {.random_tokens = 41}, 16, 6));
    CHECK(passage.bos == 2);
    CHECK(passage.coverage.tokens == passage.ids.size());
    const Scored got = run(engine, passage);
    REQUIRE(got.rows.size() == passage.ids.size());
    CHECK(got.targets == passage.ids);
    for (const ScoreWindow& w : passage.windows) {
        for (const int64_t t : {w.scored, w.end - 1}) {
            std::vector<int32_t> past = {2};
            past.insert(past.end(), passage.ids.begin() + w.begin, passage.ids.begin() + t);
            CHECK(got.rows[static_cast<size_t>(t)] == last_row(engine, past));
        }
    }
}

TEST_CASE("score: a model without BOS predicts from the second token on") {
    const Engine engine = tiny();
    Passage passage = unwrap(make_passage(engine, {.random_tokens = 20}, 8, 4));
    passage.bos = -1;
    passage.windows = plan_windows(20, 8, 4, false);
    const Scored got = run(engine, passage);
    CHECK(got.targets == std::vector<int32_t>(passage.ids.begin() + 1, passage.ids.end()));
    CHECK(got.rows[0] == last_row(engine, {passage.ids[0]}));
    CHECK(got.rows[8] == last_row(engine, {passage.ids.begin() + 4, passage.ids.begin() + 9}));
}

TEST_CASE("score: passages come from texts, ids and chance, and chance repeats itself") {
    const Engine engine = tiny();
    const auto text =
        unwrap(make_passage(engine, {.text = "<bos><|turn>user\nWho are you?", .special = true}, 0, 0));
    CHECK(text.ids == unwrap(engine.tokenize("<|turn>user\nWho are you?", {.special = true})));
    CHECK(text.coverage.context == 64);  // the engine's, below 512
    CHECK(text.coverage.stride == 32);
    CHECK(unwrap(make_passage(engine, {.ids = {2, 5, 6}}, 0, 0)).ids == std::vector<int32_t>{5, 6});
    CHECK(unwrap(make_passage(engine, {.ids = {4, 5, 6}, .limit = 2}, 0, 0)).ids ==
          std::vector<int32_t>{4, 5});
    const auto a = unwrap(make_passage(engine, {.random_tokens = 50}, 0, 0));
    CHECK(a.ids == unwrap(make_passage(engine, {.random_tokens = 50}, 0, 0)).ids);
    CHECK(a.ids != unwrap(make_passage(engine, {.random_tokens = 50, .seed = 2}, 0, 0)).ids);
}

TEST_CASE("score: excerpts that cannot be scored are refused") {
    const Engine engine = tiny();
    const auto code = [&](const Excerpt& e, uint32_t context = 0, uint32_t stride = 0) {
        return make_passage(engine, e, context, stride).error().code;
    };
    CHECK(code({}) == Errc::invalid_argument);
    CHECK(code({.text = "a", .random_tokens = 3}) == Errc::invalid_argument);
    CHECK(code({.ids = {2}}) == Errc::invalid_argument);  // BOS alone
    CHECK(code({.ids = {5, 2048}}) == Errc::invalid_argument);
    CHECK(code({.ids = {5, -1}}) == Errc::invalid_argument);
    CHECK(code({.text = "\xff\xfe"}) == Errc::invalid_argument);
    CHECK(code({.random_tokens = 9}, 8, 9) == Errc::invalid_argument);
}

TEST_CASE("score: a sink's error, a stop token and a progress sink end it") {
    const Engine engine = tiny();
    const Passage passage = unwrap(make_passage(engine, {.random_tokens = 60}, 16, 8));
    const auto ignore = [](int64_t, std::span<const float>, int32_t) -> Result<void> { return {}; };
    int rows = 0;
    const auto failed = score(engine, passage, "score", {}, {}, [&](int64_t, auto, int32_t) -> Result<void> {
        if (++rows == 3) return Error{Errc::io_error, "enough"};
        return {};
    });
    CHECK(failed.error().code == Errc::io_error);
    CHECK(rows == 3);
    std::stop_source source;
    source.request_stop();
    CHECK(score(engine, passage, "score", {}, source.get_token(), ignore).error().code == Errc::cancelled);
    std::vector<uint64_t> seen;
    const auto stopped = score(
        engine, passage, "score",
        [&](std::string_view stage, uint64_t done, uint64_t total) {
            CHECK(stage == "score");
            CHECK(total == 60);
            seen.push_back(done);
            return seen.size() < 3;
        },
        {}, ignore);
    CHECK(stopped.error().code == Errc::cancelled);
    CHECK(seen == std::vector<uint64_t>{0, 16, 24});
}
