// A sequence in time: the same bits however it is cut, rewound, threaded or interrupted.
#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <string_view>

#include "model/session_state.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

EngineOptions golden_options(const char* checkpoint) {
    EngineOptions o;
    o.model = kData / "goldens" / checkpoint;
    o.threads = 2;
    o.context = 1024;
    return o;
}

nlohmann::json golden_case(const Goldens& goldens, const char* name) {
    for (const auto& c : goldens.json["cases"])
        if (c["name"] == name) return c;
    FAIL("no such golden: ", name);
    return {};
}

std::vector<std::vector<float>> rows_of(const EngineOptions& options, const char* name) {
    const Goldens goldens(options.model.filename().string());
    const Engine engine = unwrap(open_engine(options));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.raw(Goldens::parts(golden_case(goldens, name))))));
    return all_rows(session);
}

// Rows that were computed in other chunks: their bits, on the CPU. A GPU promises those among steps of 1 to 8 columns alone;
// beyond, a key or value that lies between two halves may be rounded otherwise: caches of f16 cost 1e-3 of the range
// against the truth, each of the two.
bool same_rows(const std::vector<float>& a, const std::vector<float>& b) {
    if (a.size() != b.size()) return false;
    if (!on_gpu() || a.empty()) return a == b;
    return range_error(a.data(), b.data(), static_cast<int64_t>(a.size())) <= 2e-3;
}
bool same_rows(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return same_rows(x, y); });
}

GenerateOptions greedy(uint32_t tokens) {
    GenerateOptions o;
    o.sampling.temperature = 0.0f;
    o.max_tokens = tokens;
    o.ignore_eos = true;
    return o;
}

}  // namespace

TEST_CASE("session: any chunking gives the same bits, pictures included") {
    for (const char* name : {"text_long", "images_three", "mixed"}) {
        if (on_gpu() && name != std::string_view("mixed")) continue;
        CAPTURE(name);
        EngineOptions options = golden_options("five_layers");
        const auto whole = rows_of(options, name);
        for (const uint32_t chunk : {1u, 3u, 17u, 64u}) {
            if (on_gpu() && chunk != 17) continue;  // each is an engine, which takes a software GPU long
            CAPTURE(chunk);
            options.research.prefill_chunk = chunk;
            CHECK(same_rows(rows_of(options, name), whole));
        }
    }
}

TEST_CASE("session: any number of threads gives the same bits, for every cache format") {
    for (const KvFormat kv : {KvFormat::f32, KvFormat::f16}) {
        EngineOptions options = golden_options("sharded");
        options.kv = kv;
        const auto two = rows_of(options, "mixed");
        for (const int threads : {1, 3, 7}) {
            options.threads = threads;
            CHECK(rows_of(options, "mixed") == two);
        }
    }
}

TEST_CASE("session: compact caches stay near the exact one") {
    EngineOptions options;
    options.model = kTiny;
    options.precise = true;
    const auto rows = [&] {
        const Engine engine = unwrap(open_engine(options));
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.render({{{Role::user, {Part::text("What is the capital of France?")}}}}))));
        return all_rows(session).back();
    };
    const auto exact = rows();
    options.precise = false;
    for (const KvFormat kv : {KvFormat::f16, KvFormat::q8_0}) {
        options.kv = kv;
        // f16 keeps 11 bits, q8_0 about 7: 2^-11 and 2^-7 relative to the largest score, amplified by the
        // layers above by less than an order of magnitude.
        CHECK(range_error(rows().data(), exact.data(), static_cast<int64_t>(exact.size())) <
              (kv == KvFormat::f16 ? 5e-3 : 8e-2));
    }
}

TEST_CASE("session: rewinding, near and far, gives the rows of a fresh session") {
    const EngineOptions options = golden_options("five_layers");
    const Engine engine = unwrap(open_engine(options));
    const auto ids = unwrap(engine.tokenize("one two three four five six seven eight nine ten eleven twelve thirteen "
                                            "fourteen fifteen sixteen seventeen eighteen nineteen twenty"));
    REQUIRE(ids.size() > 40);
    const auto tail = std::span(ids).last(20);
    Session fresh = unwrap(engine.new_session());
    for (const uint32_t keep : {uint32_t(ids.size()) - 1, uint32_t(ids.size()) - 8, 20u, 1u, 0u}) {
        CAPTURE(keep);
        Session whole = unwrap(engine.new_session());
        unwrap(whole.append(unwrap(engine.tokens(ids))));
        unwrap(whole.forward({.rows = Rows::last}, [](int64_t, std::span<const float>) { return Flow::go; }));
        unwrap(whole.rewind(keep));
        CHECK(whole.position() == keep);
        unwrap(whole.append(unwrap(engine.tokens(tail))));

        Session direct = unwrap(engine.new_session());
        unwrap(direct.append(unwrap(engine.tokens(std::span(ids).first(keep)))));
        unwrap(direct.append(unwrap(engine.tokens(tail))));
        const auto a = all_rows(whole), b = all_rows(direct);
        CHECK(a.back() == b.back());
    }
    CHECK(!fresh.rewind(1).has_value());
}

TEST_CASE("session: going back by a little again and again does not read rows that were overwritten") {
    const Engine engine = unwrap(open_engine(golden_options("five_layers")));
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 80; ++i) ids.push_back(100 + i);
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.tokens(ids))));
    all_rows(session);
    for (int round = 0; round < 5; ++round) {  // 10 tokens back and one ahead: within the slack each time
        CAPTURE(round);
        ids.resize(ids.size() - 10);
        unwrap(session.rewind(static_cast<uint32_t>(ids.size())));
        ids.push_back(300 + round);
        unwrap(session.append(unwrap(engine.tokens(std::span(ids).last(1)))));
        Session direct = unwrap(engine.new_session());
        unwrap(direct.append(unwrap(engine.tokens(ids))));
        CHECK(same_rows(all_rows(session).back(), all_rows(direct).back()));
    }
}

TEST_CASE("session: rows are those of queued tokens, even when the cache had to start again") {
    const Engine engine = unwrap(open_engine(golden_options("five_layers")));
    const std::vector<int32_t> ids(80, 300);
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.tokens(ids))));
    CHECK(all_rows(session).size() == 80);
    CHECK(all_rows(session).size() == 1);  // nothing queued: the last token's row again
    unwrap(session.rewind(40));            // far behind the ring
    unwrap(session.append(unwrap(engine.tokens(std::span(ids).first(3)))));
    CHECK(all_rows(session).size() == 3);

    unwrap(session.rewind(20));
    unwrap(session.append(unwrap(engine.tokens(std::span(ids).first(3)))));
    unwrap(session.forward({.rows = Rows::last}, [](int64_t, std::span<const float>) { return Flow::discard; }));
    CHECK(session.position() == 20);
}

TEST_CASE("session: a stopped prefill leaves a session that still gives the right answer") {
    EngineOptions options = golden_options("full_first");
    options.research.prefill_chunk = 40;
    const Goldens goldens("full_first");
    const Engine engine = unwrap(open_engine(options));
    const auto prompt = unwrap(engine.raw(Goldens::parts(golden_case(goldens, "text_long"))));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(prompt));
    // Stop from inside: the first chunk's rows arrive, then the request is noticed in the second chunk.
    std::stop_source stop;
    const auto stopped = session.forward({.rows = Rows::all, .cancel = stop.get_token()},
                                         [&](int64_t row, std::span<const float>) {
                                             if (row == 39) stop.request_stop();
                                             return Flow::go;
                                         });
    REQUIRE(!stopped);
    CHECK(stopped.error().code == Errc::cancelled);
    const auto reply = unwrap(session.generate(greedy(8)));
    Session fresh = unwrap(engine.new_session());
    unwrap(fresh.append(prompt));
    CHECK(reply.tokens == unwrap(fresh.generate(greedy(8))).tokens);
}

TEST_CASE("session: a short step that was stopped midway has overwritten no row that is still needed") {
    const Engine engine = unwrap(Engine::open(golden_options("five_layers")));
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 96; ++i) ids.push_back(200 + i * 7 % 90);
    // Steps of 16 tokens and fewer write straight to the ring; stopped behind each layer, then back by up to the slack.
    for (const uint32_t columns : {1u, 5u, 16u}) {
        for (const int stop_at : {1, 3, 4}) {
            for (const uint32_t back : {0u, 1u, 2u, 11u, 16u, 17u}) {
                CAPTURE(columns);
                CAPTURE(stop_at);
                CAPTURE(back);
                Session session = unwrap(engine.new_session());
                unwrap(session.append(unwrap(engine.tokens(std::span(ids).first(70)))));
                all_rows(session);
                unwrap(session.append(unwrap(engine.tokens(std::span(ids).subspan(70, columns)))));
                int layers = 0;
                ForwardOptions stopping;
                stopping.progress = [&](std::string_view, uint64_t, uint64_t) { return layers++ < stop_at; };
                const auto stopped = session.forward(stopping, [](int64_t, std::span<const float>) { return Flow::go; });
                REQUIRE(!stopped);
                const uint32_t keep = 70 - back;
                unwrap(session.rewind(keep));
                unwrap(session.append(unwrap(engine.tokens(std::span(ids).subspan(80, 9)))));
                Session direct = unwrap(engine.new_session());
                unwrap(direct.append(unwrap(engine.tokens(std::span(ids).first(keep)))));
                unwrap(direct.append(unwrap(engine.tokens(std::span(ids).subspan(80, 9)))));
                CHECK(same_rows(all_rows(session).back(), all_rows(direct).back()));
            }
        }
    }
}

TEST_CASE("session: what does not fit is refused with the numbers, and changes nothing") {
    EngineOptions options = golden_options("five_layers");
    options.context = 16;
    const Engine engine = unwrap(open_engine(options));
    Session session = unwrap(engine.new_session());
    const std::vector<int32_t> ids(17, 300);
    const auto refused = session.append(unwrap(engine.tokens(ids)));
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::context_full);
    CHECK(refused.error().message.find("17") != std::string::npos);
    CHECK(refused.error().message.find("16") != std::string::npos);
    CHECK(session.position() == 0);
    unwrap(session.append(unwrap(engine.tokens(std::span(ids).first(12)))));
    const auto reply = unwrap(session.generate(greedy(100)));
    CHECK(reply.finish == FinishReason::length);
    CHECK(reply.tokens.size() == 5);  // four take the free positions, the fifth needs none
    CHECK(!unwrap(engine.new_session()).generate().has_value());
}

TEST_CASE("session: outlives its engine") {
    std::optional<Session> session;
    {
        const Engine engine = unwrap(open_engine(golden_options("five_layers")));
        session = unwrap(engine.new_session());
        unwrap(session->append(unwrap(engine.raw(std::vector{Part::text("Hello")}))));
    }
    CHECK(unwrap(session->generate(greedy(3))).tokens.size() == 3);
}

TEST_CASE("session: memory that runs out inside a step is an error, and the step is taken back") {
    const Engine engine = unwrap(open_engine(golden_options("five_layers")));
    const Prompt prompt = unwrap(engine.tokens(std::vector<int32_t>(60, 300)));
    Session session = unwrap(engine.new_session()), fresh = unwrap(engine.new_session());
    unwrap(session.append(prompt));
    unwrap(fresh.append(prompt));
    const auto failed =
        session.forward({.rows = Rows::all}, [](int64_t, std::span<const float>) -> Flow { throw std::bad_alloc(); });
    REQUIRE(!failed);
    CHECK(failed.error().code == Errc::out_of_memory);
    CHECK(all_rows(session) == all_rows(fresh));  // also: the failed step does not hold the engine
}

TEST_CASE("session: a prompt of another model is refused, with ids or media that do not fit") {
    const ScratchFolder folder;
    EngineOptions options;
    options.model = folder.write("small.gguf", small_gguf().build());
    const Engine small = unwrap(open_engine(options));
    const Engine other = unwrap(open_engine(golden_options("five_layers")));
    REQUIRE(small.info().vocab == kSmallVocab);
    CHECK(!small.info().text);  // no piece stands for a space
    const auto no_text = small.tokenize("a");
    REQUIRE(!no_text);
    CHECK(no_text.error().code == Errc::bad_model_file);
    CHECK(no_text.error().message.find("U+2581") != std::string::npos);
    Session session = unwrap(small.new_session());
    for (const int32_t id : {kSmallVocab, other.info().vocab - 1}) {
        const auto refused = session.append(unwrap(other.tokens(std::vector{id})));
        REQUIRE(!refused);
        CHECK(refused.error().code == Errc::invalid_argument);
    }
    unwrap(session.append(unwrap(other.tokens(std::vector{kSmallVocab - 1}))));

    options.model = kData / "peer/quant3-q8_0.gguf";
    Session text_only = unwrap(unwrap(open_engine(options)).new_session());
    CHECK(!text_only
               .append(unwrap(
                   other.raw(std::vector{Part::image(std::vector<uint8_t>(96 * 96 * 3, 128), 96, 96)})))
               .has_value());
    CHECK(
        !text_only.append(unwrap(other.raw(std::vector{Part::audio(std::vector<float>(1000, 0.5f), 16000)})))
             .has_value());
    CHECK(text_only.position() == 0);
}

TEST_CASE("session: a fork goes on as its original would, and neither sees what the other does") {
    const Engine engine = unwrap(open_engine(golden_options("five_layers")));
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 120; ++i) ids.push_back(200 + i * 11 % 97);
    const auto queue = [&](Session& session, size_t from, size_t count) {
        unwrap(session.append(unwrap(engine.tokens(std::span(ids).subspan(from, count)))));
    };
    const auto direct = [&](std::initializer_list<std::pair<size_t, size_t>> pieces) {
        Session session = unwrap(engine.new_session());
        for (const auto& [from, count] : pieces) queue(session, from, count);
        return all_rows(session).back();
    };
    for (const uint32_t back : {0u, 1u, 9u, 40u}) {  // from nothing to far behind the ring
        CAPTURE(back);
        Session session = unwrap(engine.new_session());
        queue(session, 0, 70);
        all_rows(session);
        queue(session, 70, 3);  // queued, not computed
        Session fork = unwrap(session.fork());
        CHECK(fork.position() == 73);
        queue(session, 80, 20);
        CHECK(same_rows(all_rows(session).back(), direct({{0, 73}, {80, 20}})));
        unwrap(fork.rewind(73 - back));
        queue(fork, 100, 18);
        CHECK(same_rows(all_rows(fork).back(), direct({{0, 73 - back}, {100, 18}})));
        unwrap(session.rewind(93 - back));
        queue(session, 5, 4);
        CHECK(same_rows(all_rows(session).back(), direct({{0, std::min(73u, 93 - back)}, {80, 20 - std::min(back, 20u)}, {5, 4}})));
        Session again = unwrap(fork.fork());
        CHECK(all_rows(again).back() == all_rows(fork).back());
        fork = unwrap(engine.new_session());  // what it shared stays with the other
        CHECK(same_rows(all_rows(again).back(), direct({{0, 73 - back}, {100, 18}})));
    }
    CHECK(unwrap(unwrap(engine.new_session()).fork()).position() == 0);
}

TEST_CASE("session: pictures come along into a fork, computed or not, and a sink cannot fork while it computes") {
    const Engine engine = unwrap(open_engine({.model = kTiny, .threads = 2}));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.render(
        {{{.role = Role::user, .parts = {Part::image(kTiny / "samples/image_2.png"), Part::text("What do you see?")}}}}))));
    Session early = unwrap(session.fork());  // its picture is still to be computed
    const auto expected = unwrap(session.generate(greedy(12))).tokens;
    unwrap(session.rewind(early.position()));
    Session late = unwrap(session.fork());
    CHECK(unwrap(early.generate(greedy(12))).tokens == expected);
    CHECK(unwrap(late.generate(greedy(12))).tokens == expected);
    unwrap(late.rewind(0));
    unwrap(late.append(unwrap(engine.render({{{.role = Role::user, .parts = {Part::text("Who are you?")}}}}))));
    CHECK(unwrap(late.generate(greedy(12))).tokens != expected);
    CHECK(unwrap(session.generate(greedy(12))).tokens == expected);

    int refused = 0;
    unwrap(session.forward({}, [&](int64_t, std::span<const float>) {
        refused += !session.fork() && session.fork().error().code == Errc::invalid_argument;
        return Flow::go;
    }));
    CHECK(refused == 1);
    GenerateOptions options = greedy(2);
    unwrap(session.generate(options, [&](const Token&) { return session.fork() ? Flow::go : Flow::stop; }));
}

TEST_CASE("session: two on two threads give what each gives alone, with pictures and cancels between") {
    const Engine engine = unwrap(open_engine({.model = kTiny, .threads = 2}));
    const auto reply = [&](const std::vector<Part>& parts) {
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.render({{{.role = Role::user, .parts = parts}}}))));
        int seen = 0;
        const auto dropped = [&](const Token&) { return ++seen < 3 ? Flow::go : Flow::discard; };
        CHECK(unwrap(session.generate(greedy(8), dropped)).finish == FinishReason::cancelled);
        return unwrap(session.generate(greedy(12))).tokens;
    };
    const std::vector<Part> text = {Part::text("Who are you?")},
                            picture = {Part::image(kTiny / "samples/image_2.png"), Part::text("What do you see?")};
    const auto text_alone = reply(text), picture_alone = reply(picture);
    CHECK(text_alone != picture_alone);
    const auto rounds = [&](const std::vector<Part>& parts) {
        std::vector<std::vector<int32_t>> out;
        for (int i = 0; i < 3; i++) out.push_back(reply(parts));
        return out;
    };
    auto other = std::async(std::launch::async, [&] { return rounds(picture); });
    for (const auto& tokens : rounds(text)) CHECK(tokens == text_alone);
    for (const auto& tokens : other.get()) CHECK(tokens == picture_alone);
}

TEST_CASE("session: a projector joins while another thread computes text") {
    const ScratchFolder folder;
    auto pieces = small_pieces();
    pieces[kSmallVocab - 2] = "\u2581";
    const auto model = folder.write("model.gguf", small_gguf().strings("tokenizer.ggml.tokens", pieces).build());
    folder.write("mmproj.gguf", small_projector().build());
    const Engine engine = unwrap(open_engine({.model = model, .threads = 1}));
    const auto rows = [&](const std::vector<Part>& parts) {
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.raw(parts))));
        return all_rows(session).size();
    };
    auto other = std::async(std::launch::async, [&] {
        return rows({Part::text("a"), Part::audio(std::vector<float>(25, 0.5f), 16000)});
    });
    for (int i = 0; i < 8; i++) CHECK(rows({Part::text("abab")}) > 1);
    CHECK(other.get() > 3);
}

TEST_CASE("session: residuals behind any layer, the same whatever the chunk, and the scores do not change") {
    const Goldens goldens("five_layers");
    const auto prompt = Goldens::parts(golden_case(goldens, "mixed"));
    std::vector<std::vector<float>> first;
    for (const uint32_t chunk : {512u, 9u}) {
        EngineOptions options = golden_options("five_layers");
        options.research.prefill_chunk = chunk;
        const Engine engine = unwrap(open_engine(options));
        Session plain = unwrap(engine.new_session()), observed = unwrap(engine.new_session());
        for (Session* s : {&plain, &observed}) unwrap(s->append(unwrap(engine.raw(prompt))));
        std::vector<std::vector<float>> layers(5);
        std::vector<float> last;
        ForwardOptions how;
        how.hidden_layers = {4, 0, 2, 2};
        how.hidden = [&](const HiddenRows& rows) {
            auto& all = layers[static_cast<size_t>(rows.layer)];
            CHECK(rows.width == engine.info().hidden);
            CHECK(rows.values.size() == static_cast<size_t>(rows.count) * static_cast<size_t>(rows.width));
            CHECK(all.size() == static_cast<size_t>(rows.position) * static_cast<size_t>(rows.width));
            all.insert(all.end(), rows.values.begin(), rows.values.end());
        };
        unwrap(observed.forward(how, [&](int64_t, std::span<const float> row) {
            last.assign(row.begin(), row.end());
            return Flow::go;
        }));
        CHECK(last == all_rows(plain).back());
        const size_t values = static_cast<size_t>(observed.position()) * static_cast<size_t>(engine.info().hidden);
        for (const size_t l : {0, 2, 4}) CHECK(layers[l].size() == values);
        CHECK(layers[1].empty());
        CHECK(layers[0] != layers[2]);
        if (first.empty()) first = layers;
        CHECK(same_rows(layers, first));
    }
}

TEST_CASE("session: layers that do not exist and residuals that nobody takes are refused") {
    const Engine engine = unwrap(open_engine(golden_options("five_layers")));
    Session session = unwrap(engine.new_session());
    const int32_t id = 3;
    unwrap(session.append(unwrap(engine.tokens({&id, 1}))));
    const auto refused = [&](const ForwardOptions& options) {
        const auto done = session.forward(options, {});
        REQUIRE(!done);
        CHECK(done.error().code == Errc::invalid_argument);
        return done.error().message;
    };
    CHECK(refused({.hidden_layers = {5}, .hidden = [](const HiddenRows&) {}}).find("layer 5 are asked for, the model has 5") != std::string::npos);
    CHECK(refused({.hidden_layers = {-1}, .hidden = [](const HiddenRows&) {}}).find("-1") != std::string::npos);
    CHECK(refused({.hidden_layers = {0}}).find("nobody") != std::string::npos);
    unwrap(session.forward({}, {}));
}

TEST_CASE("session: a sink of its own reply may look at it and fork it, and change nothing") {
    const Engine engine = unwrap(open_engine({.model = kTiny, .context = 256, .threads = 2}));
    const Prompt prompt = unwrap(engine.render({.messages = {{Role::user, {Part::text("Who are you?")}}}}));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(prompt));
    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    int calls = 0;
    const Reply reply = unwrap(session.generate(greedy, [&](const Token&) {
        if (calls++ > 0) return Flow::go;
        for (const Errc code : {session.generate(greedy).error().code, session.forward({}, {}).error().code, session.append(prompt).error().code,
                                session.replace(prompt).error().code, session.rewind(1).error().code})
            CHECK(code == Errc::invalid_argument);
        CHECK(unwrap(session.fork()).position() == session.position());
        return Flow::go;
    }));
    CHECK(calls > 1);
    CHECK(reply.finish == FinishReason::stop);
    unwrap(session.rewind(1));
    unwrap(session.append(prompt));
    const uint32_t position = session.position();
    calls = 0;
    unwrap(session.forward({}, [&](int64_t, std::span<const float>) {
        ++calls;
        for (const Errc code : {session.rewind(0).error().code, session.append(prompt).error().code, session.forward({}, {}).error().code})
            CHECK(code == Errc::invalid_argument);
        return Flow::stop;
    }));
    CHECK(calls == 1);
    CHECK(session.position() == position);
    unwrap(session.rewind(0));
}
