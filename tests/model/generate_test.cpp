// Replies of the bundled model: the reference ids, the samples' answers, and how a reply can end.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

#include "lapidary/tools.h"
#include "tests/support/goldens.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

const Engine& tiny() {
    static const Engine engine = unwrap(open_engine({.model = kTiny, .threads = 2, .precise = true}));
    return engine;
}

GenerateOptions greedy(uint32_t max_tokens = 200) {
    GenerateOptions o;
    o.sampling.temperature = 0.0f;
    o.max_tokens = max_tokens;
    return o;
}

// The reference's messages are in the OpenAI form but for media, which stand as a type with a list beside.
Conversation conversation(const nlohmann::json& c) {
    Conversation out;
    out.think = c["enable_thinking"];
    if (!c["tools"].is_null()) out.tools = c["tools"].dump();
    size_t media = 0;
    for (const auto& m : c["messages"]) {
        Message message;
        message.role = m["role"] == "system" ? Role::system : m["role"] == "user" ? Role::user : Role::assistant;
        if (m["content"].is_string()) {
            message.plain_string = true;
            message.parts.push_back(Part::text(m["content"]));
        } else {
            for (const auto& p : m["content"]) {
                if (p["type"] == "text")
                    message.parts.push_back(Part::text(p["text"]));
                else if (p["type"] == "image")
                    message.parts.push_back(Part::image(kTiny / "samples" / c["media"][media++].get<std::string>()));
                else if (p["type"] == "video")  // a folder of frames, which this file holds without loss
                    message.parts.push_back(Part::video(kClips / "reference.mkv"));
                else
                    message.parts.push_back(Part::audio(kTiny / "samples" / c["media"][media++].get<std::string>()));
            }
        }
        out.messages.push_back(std::move(message));
    }
    return out;
}

bool with_video() { return kFfmpeg && !on_gpu(); }  // which takes a software GPU minutes
bool supported(const nlohmann::json& c) { return with_video() || c["name"] != "video"; }

nlohmann::json reference_case(const std::string& name) {
    const auto reference = read_json(kTiny / "reference.json");
    for (const auto& c : reference["cases"])
        if (c["name"] == name) return c;
    FAIL("no case " << name);
    return {};
}

Prompt ask(Part media, const std::string& question) {
    Message m{Role::user, {}};
    const bool sound = media.kind == Part::Kind::audio;
    if (!sound) m.parts.push_back(std::move(media));
    m.parts.push_back(Part::text(question));
    if (sound) m.parts.push_back(std::move(media));
    return unwrap(tiny().render({{m}}));
}

}  // namespace

TEST_CASE("generate: the bundled model reproduces its reference") {
    int checked = 0;
    const auto reference = read_json(kTiny / "reference.json");
    for (const auto& c : reference["cases"]) {
        if (!supported(c)) continue;
        const std::string name = c["name"];
        CAPTURE(name);
        const Prompt prompt = unwrap(tiny().render(conversation(c)));
        CHECK(prompt.text() == c["prompt"].get<std::string>());
        CHECK(prompt.ids() == c["input_ids"].get<std::vector<int32_t>>());
        Session session = unwrap(tiny().new_session());
        unwrap(session.append(prompt));
        unwrap(session.forward({.rows = Rows::last}, [&](int64_t, std::span<const float> row) {
            for (const auto& top : c["first_step_top5"])
                CHECK(std::abs(row[top[0].get<size_t>()] - top[1].get<float>()) < 2e-3f);
            return Flow::go;
        }));
        CHECK(unwrap(session.generate(greedy())).tokens == c["output_ids"].get<std::vector<int32_t>>());
        ++checked;
    }
    CHECK(checked == (with_video() ? 10 : 9));
}

TEST_CASE("generate: the samples' pictures, recordings and videos get their answers") {
    int answers = 0, asked = 0;
    const auto samples = read_json(kTiny / "samples/samples.json");
    for (const auto& sample : samples["samples"]) {
        const std::string file = sample["file"], type = sample["type"];
        if (type != "image" && type != "audio" && !(type == "video" && with_video())) continue;
        for (const auto& qa : sample["qa"]) {
            if (on_gpu() && ++asked % 6 != 0) continue;  // a software GPU takes long
            const auto path = kTiny / "samples" / file;
            Session session = unwrap(tiny().new_session());
            const Part part = type == "image" ? Part::image(path) : type == "audio" ? Part::audio(path) : Part::video(path);
            unwrap(session.append(ask(part, qa["prompt"])));
            CHECK(unwrap(session.generate(greedy())).text == qa["answer"].get<std::string>());
            ++answers;
        }
    }
    CHECK(answers == (on_gpu() ? 3 : kFfmpeg ? 25 : 23));
}

TEST_CASE("generate: thinking is told apart from the answer, and the pieces add up") {
    Conversation talk{{{Role::user, {Part::text("What is 63 minus 27?")}}}, true};
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(unwrap(tiny().render(talk))));
    std::string text, thinking;
    const Reply reply = unwrap(session.generate(greedy(), [&](const Token& t) {
        text += t.text;
        thinking += t.thinking;
        return Flow::go;
    }));
    CHECK(!reply.thinking.empty());
    CHECK(!reply.text.empty());
    CHECK(text == reply.text);
    CHECK(thinking == reply.thinking);
    CHECK(reply.finish == FinishReason::stop);
    CHECK(reply.usage.generated == reply.tokens.size());
}

TEST_CASE("generate: a thought that the prompt left open goes on, also after a reply that was discarded") {
    const auto prompt = [](const char* text) { return unwrap(tiny().raw(std::vector{Part::text(text)})); };
    CHECK(!prompt("<|turn>model\n<|channel>thought\n63 minus<channel|>").starts_in_thought());
    CHECK(!prompt("no thought").starts_in_thought());
    const Prompt open =
        prompt("<|turn>user\nWhat is 63 minus 27?<turn|>\n<|turn>model\n<|channel>thought\n63 minus");
    CHECK(open.starts_in_thought());
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(open));
    unwrap(session.generate(greedy(), [](const Token&) { return Flow::discard; }));
    const Reply reply = unwrap(session.generate(greedy(3)));
    CHECK(!reply.thinking.empty());
    CHECK(reply.text.empty());
}

TEST_CASE("generate: a reply cut inside a thought says so, and the next one goes on in it") {
    const Conversation talk{{{Role::user, {Part::text("What is 63 minus 27?")}}}, true};
    const Prompt prompt = unwrap(tiny().render(talk));
    Session whole = unwrap(tiny().new_session());
    unwrap(whole.append(prompt));
    const Reply expected = unwrap(whole.generate(greedy()));
    REQUIRE(!expected.in_thought);
    // Token by token: within the channel's name, within the thought, behind it.
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(prompt));
    std::string thinking, text;
    std::vector<int32_t> tokens;
    int cut_in_thought = 0;
    while (tokens.size() < expected.tokens.size()) {
        const Reply piece = unwrap(session.generate(greedy(1)));
        tokens.insert(tokens.end(), piece.tokens.begin(), piece.tokens.end());
        thinking += piece.thinking;
        text += piece.text;
        if (!piece.text.empty()) CHECK(!piece.in_thought);
        cut_in_thought += piece.in_thought;
    }
    CHECK(cut_in_thought > 10);
    CHECK(tokens == expected.tokens);
    const auto squeezed = [](std::string s) { return std::erase(s, ' '), std::erase(s, '\n'), s; };
    CHECK(squeezed(thinking) == squeezed(expected.thinking));  // each reply drops white space at its ends
    CHECK(text == expected.text);
}

TEST_CASE("generate: the next turn ends a thought that was cut") {
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(unwrap(tiny().render({{{Role::user, {Part::text("What is 63 minus 27?")}}}, true}))));
    CHECK(unwrap(session.generate(greedy(5))).in_thought);
    unwrap(session.append(unwrap(tiny().raw(std::vector{Part::text("<turn|>\n<|turn>user\nWho are you?<turn|>\n<|turn>model\n")}))));
    const Reply reply = unwrap(session.generate(greedy()));
    CHECK(!reply.text.empty());
    const auto opening = unwrap(tiny().tokenize("<|channel>", {.special = true}));
    CHECK(reply.thinking.empty() == (reply.tokens.front() != opening.front()));  // thoughts are the new turn's own
}

TEST_CASE("generate: why a reply was cut") {
    EngineOptions options{.model = kTiny, .context = 20, .threads = 1};
    const Engine engine = unwrap(open_engine(options));
    const std::vector<int32_t> ids{2, 15, 928, 484, 468, 313};
    const auto cut = [&](uint32_t max_tokens) {
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.tokens(ids))));
        GenerateOptions o = greedy(max_tokens);
        o.ignore_eos = true;
        return unwrap(session.generate(o));
    };
    const Reply by_count = cut(3);
    CHECK(by_count.finish == FinishReason::length);
    CHECK(!by_count.context_full);
    CHECK(by_count.usage.generated == 3);
    const Reply by_context = cut(100);
    CHECK(by_context.finish == FinishReason::length);
    CHECK(by_context.context_full);
    CHECK(by_context.usage.generated == 15);  // the last has no place of its own
    CHECK(by_context.usage.prompt + by_context.usage.generated == options.context + 1);
}

TEST_CASE("generate: prompt progress counts up while layers are done, and its answer cancels") {
    EngineOptions options{.model = kTiny, .threads = 1, .research = {.prefill_chunk = 16}};
    const Engine engine = unwrap(open_engine(options));
    std::vector<int32_t> ids(40);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(30 + i);
    const Prompt prompt = unwrap(engine.tokens(ids));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(prompt));
    std::vector<uint64_t> seen;
    GenerateOptions o = greedy(4);
    o.ignore_eos = true;
    o.progress = [&](std::string_view stage, uint64_t done, uint64_t total) {
        CHECK(stage == "prompt");
        CHECK(total == 40);
        seen.push_back(done);
        return true;
    };
    const Reply reply = unwrap(session.generate(o));
    CHECK(reply.usage.generated == 4);
    const auto& parts = model::Access::state(engine).parts;  // of several the first one tells
    const auto layers = static_cast<size_t>(parts.size() > 1 ? parts.front().last : engine.info().layers);
    REQUIRE(seen.size() == 3 * layers + 1);  // nothing of the decode steps
    CHECK(std::is_sorted(seen.begin(), seen.end()));
    CHECK(seen.front() == 0);
    CHECK(seen[layers / 2] == 8);  // half the layers of the first 16
    CHECK(seen.back() == 40);

    Session stopped = unwrap(engine.new_session());
    unwrap(stopped.append(prompt));
    o.progress = [](std::string_view, uint64_t done, uint64_t) { return done < 20; };
    const Reply none = unwrap(stopped.generate(o));
    CHECK(none.finish == FinishReason::cancelled);
    CHECK(none.tokens.empty());
    const auto refused = stopped.forward({.progress = o.progress}, {});
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::cancelled);
    o.progress = {};
    CHECK(unwrap(stopped.generate(o)).tokens == reply.tokens);  // goes on as if nothing had been
}

namespace {

// A session that has computed more than its window of 128, with `queued` tokens more to come.
Session halfway(const Engine& engine, size_t computed, size_t queued) {
    std::vector<int32_t> ids(computed + queued);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(30 + i % 900);
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.tokens(std::span(ids).first(computed)))));
    unwrap(session.forward({}, {}));
    unwrap(session.append(unwrap(engine.tokens(std::span(ids).subspan(computed)))));
    return session;
}

}  // namespace

TEST_CASE("generate: a prompt stopped before its first layer costs nothing that was computed") {
    Session session = halfway(tiny(), 300, 50);
    GenerateOptions o = greedy(1);
    o.progress = [](std::string_view, uint64_t, uint64_t) { return false; };
    CHECK(unwrap(session.generate(o)).finish == FinishReason::cancelled);
    o.progress = {};
    CHECK(unwrap(session.generate(o)).usage.cached == 300);
}

TEST_CASE("generate: what a progress sink or a sink of logits throws leaves the session as a cancelled one") {
    Session clean = halfway(tiny(), 100, 150);
    const auto expected = all_rows(clean).back();
    for (const bool in_progress : {true, false}) {
        CAPTURE(in_progress);
        Session session = halfway(tiny(), 100, 150);
        ForwardOptions options;
        if (in_progress)
            options.progress = [](std::string_view, uint64_t done, uint64_t) -> bool {
                return done < 60 ? true : throw 7;
            };
        CHECK_THROWS_AS((void)session.forward(options, [](int64_t, std::span<const float>) -> Flow { throw 7; }), int);
        const auto rows = all_rows(session);
        REQUIRE(!rows.empty());
        CHECK(rows.back() == expected);
    }
}

TEST_CASE("generate: computing with another session in a sink of logits or of progress is an error, not a wait without end") {
    Session one = halfway(tiny(), 4, 4), other = halfway(tiny(), 4, 4);
    int refused = 0;
    const auto compute = [&] {
        const auto done = other.generate(greedy(1));
        refused += !done && done.error().code == Errc::invalid_argument;
        return true;
    };
    ForwardOptions options{.progress = [&](std::string_view, uint64_t, uint64_t) { return refused > 0 || compute(); }};
    unwrap(one.forward(options, [&](int64_t, std::span<const float>) {
        compute();
        return Flow::go;
    }));
    CHECK(refused == 2);
    unwrap(one.generate(greedy(2), [&](const Token&) {  // between its steps there is no turn
        CHECK(other.generate(greedy(1)).has_value());
        return Flow::go;
    }));
}

TEST_CASE("generate: timings are parts of the whole, and count what was computed") {
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(unwrap(tiny().tokens(std::vector<int32_t>{2, 15, 928, 484, 468, 313}))));
    GenerateOptions o = greedy(6);
    o.ignore_eos = true;
    const auto start = std::chrono::steady_clock::now();
    const Reply reply = unwrap(session.generate(o));
    const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const Timings& t = reply.timings;
    for (const double part : {t.prefill_s, t.decode_s, t.sampling_s, t.ttft_s}) CHECK(part > 0);
    CHECK(t.prefill_s <= t.ttft_s);
    CHECK(t.prefill_s + t.decode_s + t.sampling_s + t.wait_s <= whole);
    CHECK(t.decode_steps == 5);
    CHECK(reply.usage.cached == 0);
    // Every step reads at least the matrices: the bundled model's bf16, but for the tables that are not read whole.
    CHECK(t.decode_bytes > 5 * tiny().info().weight_bytes / 2);
    CHECK(t.decode_bytes < 5 * (tiny().info().weight_bytes + tiny().info().kv_bytes_per_session));
    // The last token is computed again for its logits; the rest of the sequence is there.
    const Reply more = unwrap(session.generate(o));
    CHECK(more.usage.prompt == 12);
    CHECK(more.usage.cached == 11);
}

TEST_CASE("generate: a seed repeats itself, another one differs, none is reported") {
    const auto reply = [&](std::optional<uint64_t> seed) {
        GenerateOptions o;
        o.sampling = {.temperature = 2.0f, .top_p = 1.0f, .top_k = 0, .seed = seed};
        o.max_tokens = 24;
        o.ignore_eos = true;
        Session session = unwrap(tiny().new_session());
        unwrap(session.append(unwrap(tiny().render({{{Role::user, {Part::text("Tell me a story.")}}}}))));
        return unwrap(session.generate(o));
    };
    const Reply one = reply(7);
    CHECK(one.seed == 7);
    CHECK(one.tokens == reply(7).tokens);
    CHECK(one.tokens != reply(8).tokens);
    const Reply free = reply(std::nullopt);
    CHECK(free.tokens == reply(free.seed).tokens);
}

// The parser keeps white space back until it knows what follows.
TEST_CASE("generate: a stop text of white space ends a reply at once") {
    auto loaded = unwrap(model::load_model({.model = kTiny}));
    const int32_t line = unwrap(tiny().tokenize("\n")).back();
    for (int32_t id = 0; id < loaded.config.vocab; ++id)
        if (id != line) loaded.config.suppress_ids.push_back(id);
    EngineOptions options;
    options.model = kTiny;
    options.threads = 1;
    const Engine engine = unwrap(make_engine(options, std::move(loaded), {}));
    for (const std::string stop : {"\n", "\n\n", "\n\n\n", "x\n\n\n"}) {
        CAPTURE(stop);
        const size_t tokens = stop.size() < 4 ? stop.size() : 4;
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.render({{{Role::user, {Part::text("Who are you?")}}}}))));
        GenerateOptions how = greedy(4);
        how.stop = {stop};
        const Reply reply = unwrap(session.generate(how));
        CHECK(reply.tokens.size() == tokens);
        CHECK(reply.finish == (tokens < 4 ? FinishReason::stop : FinishReason::length));
        CHECK(reply.text == (tokens < 4 ? "" : "\n\n\n\n"));
    }
}

TEST_CASE("generate: stop texts, sinks and cancelling end a reply") {
    const Prompt prompt = unwrap(tiny().render({{{Role::user, {Part::text("Who are you?")}}}}));
    const auto fresh = [&] {
        Session s = unwrap(tiny().new_session());
        unwrap(s.append(prompt));
        return s;
    };
    const std::string whole = unwrap(fresh().generate(greedy())).text;
    REQUIRE(whole.size() > 20);

    GenerateOptions stop = greedy();
    stop.stop = {whole.substr(10, 5)};
    std::string streamed;
    Session a = fresh();
    const Reply cut = unwrap(a.generate(stop, [&](const Token& t) {
        streamed += t.text;
        return Flow::go;
    }));
    CHECK(cut.text == whole.substr(0, whole.find(stop.stop[0])));
    CHECK(streamed == cut.text);
    CHECK(cut.finish == FinishReason::stop);

    Session b = fresh();
    const Reply kept = unwrap(b.generate(greedy(), [](const Token&) { return Flow::stop; }));
    CHECK(kept.tokens.size() == 1);
    CHECK(b.position() == prompt.ids().size() + 1);

    Session c = fresh();
    unwrap(c.generate(greedy(), [](const Token&) { return Flow::discard; }));
    CHECK(c.position() == prompt.ids().size());
    CHECK(unwrap(c.generate(greedy())).text == whole);

    // Also by who was told last what a stop text had held back.
    Session last = fresh();
    GenerateOptions held = greedy();
    held.stop = {whole.substr(whole.size() - 3) + "and more"};
    const Reply dropped = unwrap(last.generate(held, [](const Token& t) { return t.id < 0 ? Flow::discard : Flow::go; }));
    CHECK(dropped.finish == FinishReason::cancelled);
    CHECK(last.position() == prompt.ids().size());

    std::stop_source source;
    GenerateOptions cancelled = greedy();
    cancelled.cancel = source.get_token();
    Session d = fresh();
    int tokens = 0;
    const Reply early = unwrap(d.generate(cancelled, [&](const Token&) {
        if (++tokens == 3) source.request_stop();
        return Flow::go;
    }));
    CHECK(early.finish == FinishReason::cancelled);
    CHECK(early.tokens.size() == 3);
}

TEST_CASE("generate: log-probabilities describe the model's own distribution") {
    GenerateOptions o = greedy(4);
    o.logprobs = 5;
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(unwrap(tiny().render({{{Role::user, {Part::text("Who are you?")}}}}))));
    unwrap(session.generate(o, [](const Token& t) {
        if (t.id < 0) return Flow::go;
        CHECK(t.top.size() == 5);
        CHECK(t.logprob == t.top[0].logprob);  // greedy takes the most probable
        CHECK(t.logprob <= 0);
        for (size_t i = 1; i < t.top.size(); ++i) CHECK(t.top[i].logprob <= t.top[i - 1].logprob);
        return Flow::go;
    }));
}

TEST_CASE("generate: a call comes out, its result goes in, an answer comes out") {
    const auto reference = reference_case("text_tool_call");
    Conversation talk = conversation(reference);
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(unwrap(tiny().render(talk))));
    std::vector<ToolCall> told;
    const Reply call = unwrap(session.generate(greedy(), [&](const Token& t) {
        if (t.tool_call) told.push_back(*t.tool_call);
        return Flow::go;
    }));
    CHECK(call.tokens == reference["output_ids"].get<std::vector<int32_t>>());
    CHECK(call.finish == FinishReason::tool_calls);
    CHECK(call.text.empty());
    CHECK(call.broken_calls.empty());
    REQUIRE(call.tool_calls.size() == 1);
    REQUIRE(told.size() == 1);
    CHECK(call.tool_calls[0].name == "get_weather");
    CHECK(call.tool_calls[0].arguments == R"({"city":"Paris"})");
    CHECK(told[0].id == call.tool_calls[0].id);
    CHECK(told[0].id == "call_" + std::to_string(session.position() - 2));  // the last is the end of the turn

    talk.messages.push_back({.role = Role::assistant, .tool_calls = call.tool_calls});
    talk.messages.push_back({.role = Role::tool, .tool_call_id = told[0].id, .value = R"({"weather":"sunny","temperature":21})"});
    const Prompt whole = unwrap(tiny().render(talk));
    CHECK(whole.text().ends_with("<|tool_response>response:get_weather{temperature:21,weather:<|\"|>sunny<|\"|>}<tool_response|>"));
    Session fresh = unwrap(tiny().new_session());
    unwrap(fresh.append(whole));
    const Reply answer = unwrap(fresh.generate(greedy()));
    CHECK(answer.finish == FinishReason::stop);
    CHECK(answer.tool_calls.empty());
    CHECK(answer.text.find("21") != std::string::npos);
    CHECK(answer.text.find("sunny") != std::string::npos);
}

TEST_CASE("generate: a call that max_tokens cuts is none") {
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(unwrap(tiny().render(conversation(reference_case("text_tool_call"))))));
    const Reply cut = unwrap(session.generate(greedy(12)));
    CHECK(cut.finish == FinishReason::length);
    CHECK(cut.tool_calls.empty());
    REQUIRE(cut.broken_calls.size() == 1);
    CHECK(cut.broken_calls[0] == "<|tool_call>call:get_weather{city:<|\"|>Paris<|\"|>");
    const Reply rest = unwrap(session.generate(greedy()));
    REQUIRE(rest.tool_calls.size() == 1);
    CHECK(rest.tool_calls[0].arguments == R"({"city":"Paris"})");
    CHECK(rest.finish == FinishReason::tool_calls);
}

TEST_CASE("generate: a thought that has spent its budget is closed by force") {
    const auto reference = reference_case("text_thinking");
    const Prompt prompt = unwrap(tiny().render(conversation(reference)));
    const auto with_budget = [&](std::optional<uint32_t> budget) {
        Session session = unwrap(tiny().new_session());
        unwrap(session.append(prompt));
        GenerateOptions o = greedy();
        o.think_budget = budget;
        return unwrap(session.generate(o));
    };
    const auto free = reference["output_ids"].get<std::vector<int32_t>>();
    CHECK(with_budget(1000).tokens == free);
    const int32_t close = unwrap(tiny().tokenize("<channel|>", {.special = true}))[0];
    for (const uint32_t budget : {0u, 1u, 5u}) {
        const Reply reply = with_budget(budget);
        const size_t header = 3;  // the mark, the name, a newline
        REQUIRE(reply.tokens.size() > header + budget);
        CHECK(std::equal(free.begin(), free.begin() + static_cast<std::ptrdiff_t>(header + budget), reply.tokens.begin()));
        CHECK(reply.tokens[header + budget] == close);
        CHECK(reply.finish == FinishReason::stop);
        CHECK(!reply.text.empty());
        // The forced token is in the sequence as any other: what follows is what follows it in a prompt.
        auto ids = prompt.ids();
        ids.insert(ids.end(), reply.tokens.begin(), reply.tokens.begin() + static_cast<std::ptrdiff_t>(header + budget + 1));
        Session forced = unwrap(tiny().new_session());
        unwrap(forced.append(unwrap(tiny().tokens(ids))));
        CHECK(unwrap(forced.generate(greedy())).text == reply.text);
    }
}

TEST_CASE("generate: declarations that cannot be read are refused") {
    Session session = unwrap(tiny().new_session());
    unwrap(session.append(unwrap(tiny().tokens(std::vector<int32_t>{2}))));
    GenerateOptions o = greedy(1);
    o.tools = "{}";
    CHECK(session.generate(o).error().message == "tools: there is no list of tools");
}
