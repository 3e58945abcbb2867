// Devices that are lost and memory that runs out: sessions go on, and what they say is what they would have said.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <future>

#include "kernels/select.h"
#include "lapidary/tools.h"
#include "model/load/place.h"
#include "model/session_state.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "tests/support/open_engine.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

using Logits = std::vector<std::vector<float>>;
using Notes = std::vector<std::string>;

EngineOptions options_of(const std::filesystem::path& model, Notes* notes = nullptr) {
    EngineOptions o;
    o.model = model;
    o.threads = 1;
    o.context = 256;
    o.research.prefill_chunk = 32;
    if (notes) o.note = [notes](std::string_view note) { notes->emplace_back(note); };
    return o;
}

std::filesystem::path golden(const char* checkpoint) { return kData / "goldens" / checkpoint; }

std::vector<Part> parts_of_case(const char* checkpoint, const char* name) {
    const Goldens goldens(checkpoint);
    for (const auto& c : goldens.json["cases"])
        if (c["name"] == name) return Goldens::parts(c);
    FAIL("no such golden: ", name);
    return {};
}

std::shared_ptr<FarTrouble> lost_at(std::vector<int64_t> submits) {
    auto trouble = std::make_shared<FarTrouble>();
    trouble->lost_at = std::move(submits);
    return trouble;
}

PartsMaker far_with(std::shared_ptr<FarTrouble> trouble) { return parts_of({{.trouble = std::move(trouble)}}); }

bool on_cpu(const Engine& engine) { return model::Access::state(engine).parts.front().gpu.empty(); }

GenerateOptions greedy(uint32_t tokens) {
    GenerateOptions o;
    o.sampling.temperature = 0.0f;
    o.ignore_eos = true;
    o.max_tokens = tokens;
    return o;
}

Session session_of(const Engine& engine, const std::vector<Part>& parts) {
    Session session = unwrap(engine.new_session());
    constexpr int32_t kIds[] = {2, 105, 9, 77, 31, 8, 64, 5, 12, 90};  // for models without a tokenizer
    unwrap(session.append(unwrap(parts.empty() ? engine.tokens(kIds) : engine.raw(parts))));
    return session;
}

// Rows of the prompt, some generated tokens as rows of their own, and the row behind them.
Logits talk(const Engine& engine, const std::vector<Part>& parts, uint32_t tokens) {
    Session session = session_of(engine, parts);
    Logits rows = all_rows(session);
    const Reply reply = unwrap(session.generate(greedy(tokens)));
    rows.emplace_back(reply.tokens.begin(), reply.tokens.end());
    const Logits behind = all_rows(session);
    rows.insert(rows.end(), behind.begin(), behind.end());
    return rows;
}

}  // namespace

TEST_CASE("lost: at any submit of a prompt with picture and sound, of its rows and of decoding, once or twice") {
    const auto parts = parts_of_case("five_layers", "mixed");
    const Engine whole = unwrap(open_on(options_of(golden("five_layers")), far_with({})));
    const Logits want = talk(whole, parts, 3);
    const int64_t submits = far_counts(whole).submits();
    REQUIRE(submits > 8);
    for (int64_t n = 1; n <= submits + 1; ++n) {
        for (const int64_t again : {int64_t{0}, int64_t{1}, n, submits}) {
            CAPTURE(n);
            CAPTURE(again);
            Notes notes;
            const Engine engine = unwrap(open_on(options_of(golden("five_layers"), &notes), far_with(lost_at({n, again}))));
            CHECK(talk(engine, parts, 3) == want);
            const size_t losses = n > submits ? 0 : on_cpu(engine) ? 2 : 1;
            CHECK(notes.size() == losses);
            if (losses > 0 && again == 1) CHECK(losses == 2);
            if (losses > 0) CHECK(notes[0].find("the far device does not answer; it is set up again") != std::string::npos);
            if (losses > 1) CHECK(notes[1].find("going on on the CPU") != std::string::npos);
        }
    }
}

TEST_CASE("lost: while results are brought back") {
    const auto parts = parts_of_case("five_layers", "mixed");
    const Engine whole = unwrap(open_on(options_of(golden("five_layers")), far_with({})));
    const Logits want = talk(whole, parts, 3);
    const int64_t reads = far_counts(whole).reads;
    REQUIRE(reads > 8);
    for (int64_t n = 1; n <= reads + 1; ++n)
        for (const int64_t again : {int64_t{0}, int64_t{1}}) {
            CAPTURE(n);
            CAPTURE(again);
            auto trouble = std::make_shared<FarTrouble>();
            trouble->lost_at_read = {n, again};
            Notes notes;
            const Engine engine = unwrap(open_on(options_of(golden("five_layers"), &notes), far_with(trouble)));
            CHECK(talk(engine, parts, 3) == want);
            CHECK(on_cpu(engine) == (n <= reads && again == 1));
            CHECK(notes.size() == (n > reads ? 0 : on_cpu(engine) ? 2 : 1));
        }
}

TEST_CASE("lost: weights are placed again from files of every container") {
    const ScratchFolder folder;
    const auto packed = folder.path() / "tiny.lapidary";
    unwrap(pack({.model = kTiny, .out = packed, .type = "q8_0"}));
    const std::vector<Part> parts;
    for (const auto& model : {kTiny, packed, kData / "peer/quant3-q4_0.gguf"}) {
        CAPTURE(model);
        const Logits want = talk(unwrap(open_on(options_of(model), far_with({}))), parts, 6);
        for (const auto& losses : {std::vector<int64_t>{4}, {4, 5}}) {
            const Engine engine = unwrap(open_on(options_of(model), far_with(lost_at(losses))));
            CHECK(talk(engine, parts, 6) == want);
            CHECK(on_cpu(engine) == (losses.size() == 2));
        }
    }
}

TEST_CASE("lost: a device that cannot be made again, and weights that are nowhere else") {
    const auto parts = parts_of_case("five_layers", "text_long");
    const Logits want = talk(unwrap(open_on(options_of(golden("five_layers")), cpu_part)), parts, 3);
    Notes notes;
    int made = 0;
    const PartsMaker once = [&, far = far_with(lost_at({3}))](const auto& options, const auto& loaded, Attempt attempt) {
        CHECK((attempt == Attempt::after_loss) == (made > 0));
        if (made++ == 0) return far(options, loaded, attempt);
        return Result<std::vector<model::DevicePart>>(Error{Errc::device_unavailable, "its driver is gone"});
    };
    const Engine engine = unwrap(open_on(options_of(golden("five_layers"), &notes), once));
    CHECK(talk(engine, parts, 3) == want);
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].find("could not be set up again: its driver is gone; going on on the CPU") != std::string::npos);

    const EngineOptions options = options_of(golden("five_layers"));
    auto loaded = unwrap(model::load_model(load_options(options)));
    loaded.files.clear();  // as those of synthetic weights
    const Engine made_up = unwrap(make_engine(options, std::move(loaded), {}, Packing::now, far_with(lost_at({1}))));
    Session session = session_of(made_up, parts);
    const auto failed = session.generate(greedy(1));
    REQUIRE(!failed);
    CHECK(failed.error().code == Errc::device_lost);
}

TEST_CASE("lost: other sessions, their forks and new ones notice") {
    const auto first = parts_of_case("five_layers", "images_three"), second = parts_of_case("five_layers", "mixed");
    const auto replies = [&](const Engine& engine, const std::function<void()>& between) {
        Session a = session_of(engine, first), b = session_of(engine, second);
        std::vector<std::vector<int32_t>> out;
        const auto keep = [&](Session& s, uint32_t n) { out.push_back(unwrap(s.generate(greedy(n))).tokens); };
        keep(a, 3);
        keep(b, 3);
        between();
        keep(a, 3);  // here it is lost
        Session c = unwrap(b.fork());
        keep(c, 4);
        keep(b, 4);
        unwrap(a.rewind(a.position() - 2));
        keep(a, 3);
        Session d = session_of(engine, second);
        keep(d, 3);
        return out;
    };
    const Engine whole = unwrap(open_on(options_of(golden("five_layers")), far_with({})));
    int64_t before = 0;
    const auto want = replies(whole, [&] { before = far_counts(whole).submits(); });
    for (const auto& losses : {std::vector<int64_t>{before + 1}, {before + 2}, {before + 1, 2}, {before + 2, 20}}) {
        CAPTURE(losses.back());
        const Engine engine = unwrap(open_on(options_of(golden("five_layers")), far_with(lost_at(losses))));
        CHECK(replies(engine, [] {}) == want);
        CHECK(on_cpu(engine) == (losses.size() == 2));
    }
}

TEST_CASE("lost: while sessions of several threads take turns") {
    const auto parts = parts_of_case("five_layers", "mixed");
    const Logits want = talk(unwrap(open_on(options_of(golden("five_layers")), far_with({}))), parts, 3);
    for (const auto& losses : {std::vector<int64_t>{7}, {20, 30}}) {
        const Engine engine = unwrap(open_on(options_of(golden("five_layers")), far_with(lost_at(losses))));
        std::vector<std::future<Logits>> threads;
        for (int i = 0; i < 3; ++i)
            threads.push_back(std::async(std::launch::async, [&] { return talk(engine, parts, 3); }));
        for (auto& thread : threads) CHECK(thread.get() == want);
        CHECK(on_cpu(engine) == (losses.size() == 2));
    }
}

TEST_CASE("lost: one of two devices, and residuals are told once") {
    const auto parts = parts_of_case("five_layers", "mixed");
    struct Heard {
        int32_t layer;
        std::vector<float> rows;
        bool operator==(const Heard&) const = default;
    };
    const auto heard = [&](const Engine& engine) {
        Session session = session_of(engine, parts);
        std::vector<std::vector<float>> by_layer(5);
        ForwardOptions how;
        how.hidden_layers = {0, 2, 4};
        how.hidden = [&](const HiddenRows& rows) {
            auto& all = by_layer[static_cast<size_t>(rows.layer)];
            CHECK(all.size() == rows.position * static_cast<size_t>(rows.width));
            all.insert(all.end(), rows.values.begin(), rows.values.end());
        };
        unwrap(session.forward(how, {}));
        return by_layer;
    };
    const auto two = [](std::shared_ptr<FarTrouble> trouble) { return parts_of({{.far = false}, {.trouble = trouble}}, {2}); };
    const Engine whole = unwrap(open_on(options_of(golden("five_layers")), two({})));
    const auto want = heard(whole);
    const int64_t submits = far_counts(whole, 1).submits();
    for (int64_t n = 1; n <= submits; ++n) {
        CAPTURE(n);
        CHECK(heard(unwrap(open_on(options_of(golden("five_layers")), two(lost_at({n}))))) == want);
        CHECK(heard(unwrap(open_on(options_of(golden("five_layers")), two(lost_at({n, n}))))) == want);
    }
}

TEST_CASE("out of memory: every allocation may fail, and the next attempt gives what the first would have") {
    const auto parts = parts_of_case("five_layers", "mixed");
    const auto talk_on = [&](const Engine& engine, Session& session) -> Result<void> {
        if (session.position() == 0) unwrap(session.append(unwrap(engine.raw(parts))));
        const auto missing = static_cast<uint32_t>(unwrap(engine.raw(parts)).ids().size()) + 3 - session.position();
        const auto reply = session.generate(greedy(missing));
        return reply ? Result<void>() : reply.error();
    };
    std::vector<int32_t> want;
    int failures = 0;
    for (int64_t n = 0;; ++n) {  // 0: none fails
        CAPTURE(n);
        auto trouble = std::make_shared<FarTrouble>();
        const Engine engine = unwrap(open_on(options_of(golden("five_layers")), far_with(trouble)));
        const int64_t before = trouble->allocations;
        trouble->no_memory_at = n == 0 ? 0 : before + n;
        auto session = engine.new_session();
        if (!session) {
            CHECK(session.error().code == Errc::out_of_memory);
            ++failures;
            session = engine.new_session();
        }
        REQUIRE(session);
        auto done = talk_on(engine, *session);
        if (!done) {
            CHECK(done.error().code == Errc::out_of_memory);
            ++failures;
            done = talk_on(engine, *session);
        }
        REQUIRE(done);
        const auto& ids = model::Access::state(*session).ids;
        if (n == 0) want = ids;
        CHECK(ids == want);
        if (n > 0 && trouble->allocations < before + n) break;
        CHECK(failures == n);
    }
    CHECK(failures > 20);
}

TEST_CASE("out of memory: an engine that cannot be opened is an error, whatever allocation fails") {
    const EngineOptions options = options_of(golden("text_defaults"));
    auto counted = std::make_shared<FarTrouble>();
    unwrap(open_on(options, far_with(counted)));
    const int64_t all = counted->allocations;
    REQUIRE(all > 20);
    for (int64_t n = 1; n <= all; n += 7) {
        auto trouble = std::make_shared<FarTrouble>();
        trouble->no_memory_at = n;
        const auto refused = open_on(options, far_with(trouble));
        REQUIRE(!refused);
        CHECK(refused.error().code == Errc::out_of_memory);
    }
}

TEST_CASE("place_parts: sources that may be asked for again keep what is in no file") {
    constexpr int64_t kRows = 16, kCols = 4096;
    for (const bool again : {false, true}) {
        auto memory = unwrap(runtime::allocate_host(kRows * kCols * sizeof(float)));
        std::memset(runtime::host_bytes(*memory), 1, memory->bytes);
        model::Weights host;
        host.layers.resize(1);
        host.layers[0].q = runtime::view(memory, runtime::Format::f32, kRows, kCols);
        FarDevice far(*lapidary::kernels::select("ref", nullptr), 1, false);
        unwrap(model::place_weights(host, {.last = 1, .embedding = false, .again = again}, far, {}));
        CHECK((runtime::host_bytes(*memory)[memory->bytes / 2] == std::byte{1}) == again);
    }
}
