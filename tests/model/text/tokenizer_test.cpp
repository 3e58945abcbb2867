// Encoding and decoding: published vectors, what the tokenizers library does, a naive BPE as oracle, added
// tokens, linear work, bad input.
#include "model/text/tokenizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

using Ids = std::vector<int32_t>;

Ids encode(const Tokenizer& tokenizer, std::string_view text, bool parse_special = false) {
    auto ids = tokenizer.encode(text, {.parse_special = parse_special});
    if (!ids) FAIL(ids.error().message);
    return *ids;
}

void compare_with_oracle(const Tokenizer& tokenizer, uint32_t seed, int texts) {
    const test::NaiveBpe oracle(tokenizer.vocabulary());
    test::TestRandom random(seed);
    for (int i = 0; i < texts; ++i) {
        const std::string text = test::random_text(tokenizer.vocabulary(), random, 20);
        REQUIRE_MESSAGE(encode(tokenizer, text) == oracle.encode(text), text);
        std::string spaced;  // U+2581 in a text cannot be told from a space afterwards
        for (size_t at = 0; at < text.size(); ++at) {
            const bool is_mark = text.compare(at, 3, "\u2581") == 0;
            spaced += is_mark ? ' ' : text[at];
            at += is_mark ? 2 : 0;
        }
        REQUIRE(*tokenizer.decode(encode(tokenizer, text)) == spaced);
    }
    for (size_t n = 1; n <= 70; ++n) {
        for (const char* unit : {"\n", " ", "\t", "=", "a", "\n ", "\u00E9"}) {
            std::string text;
            for (size_t i = 0; i < n; ++i) text += unit;
            REQUIRE_MESSAGE(encode(tokenizer, text) == oracle.encode(text), n << " times " << unit);
        }
    }
}

nlohmann::json golden(const std::string& name) {
    return nlohmann::json::parse(test::read_file(test::golden_path(name)));
}

void compare_with_golden(const Tokenizer& tokenizer, const nlohmann::json& rows) {
    for (const auto& row : rows) {
        const auto text = row["text"].get<std::string>();
        CHECK_MESSAGE(encode(tokenizer, text, true) == row["ids"].get<Ids>(), text);
    }
}

enum class BrokenRun { all_bytes, broken_bytes };  // which of its bytes become U+FFFD

// A run of byte pieces that is not UTF-8 as a whole. `broken_bytes` keeps the characters in it.
std::string broken_run(std::string_view run, BrokenRun style) {
    std::string text;
    while (!run.empty()) {
        size_t length = style == BrokenRun::all_bytes ? 0 : std::min<size_t>(run.size(), 4);
        while (length > 0 && !valid_utf8(run.substr(0, length))) --length;
        text.append(length > 0 ? run.substr(0, length) : kReplacementCharacter);
        run.remove_prefix(std::max<size_t>(length, 1));
    }
    return text;
}

// Decoding by whole runs of byte pieces, as the tokenizers library does it.
std::string decode_by_runs(const Tokenizer& tokenizer, const Ids& ids, bool render_special, BrokenRun style) {
    std::string text, run;
    const auto end_run = [&] {
        text += valid_utf8(run) ? run : broken_run(run, style);
        run.clear();
    };
    for (const int32_t id : ids) {
        const std::string bytes = tokenizer.token_bytes(id, render_special);
        if (tokenizer.type(id) == TokenType::byte) {
            run += bytes;
        } else if (!bytes.empty()) {  // a hidden control token does not end a run
            end_run();
            text += bytes;
        }
    }
    end_run();
    return text;
}

}  // namespace

TEST_CASE("tokenizer: ids of the tokenizers library, bundled and real vocabulary") {
    const auto tiny = golden("tokenizer.json")["encode"];
    CHECK(tiny.size() == 385);
    compare_with_golden(test::tiny_tokenizer(), tiny);
    const auto real = golden("tokenizer_real.json")["encode"];
    CHECK(real.size() == 174);
    compare_with_golden(test::real_tokenizer(), real);
}

// One difference is meant. Of a run of byte pieces that is not UTF-8 the library makes one U+FFFD of every
// byte, also of those that form characters; a stream cannot take characters back, so here they stay, and each
// broken byte becomes one U+FFFD. The library's way is checked too, which shows that nothing else differs.
TEST_CASE("tokenizer: texts of the tokenizers library") {
    const Tokenizer& tiny = test::tiny_tokenizer();
    const auto rows = golden("tokenizer.json")["decode"];
    CHECK(rows.size() == 60);
    int differing = 0;
    for (const auto& row : rows) {
        const Ids ids = row["ids"].get<Ids>();
        for (const bool render_special : {false, true}) {
            const std::string want = row[render_special ? "text_with_specials" : "text"];
            const std::string ours = *tiny.decode(ids, render_special);
            CHECK(ours == decode_by_runs(tiny, ids, render_special, BrokenRun::broken_bytes));
            CHECK(want == decode_by_runs(tiny, ids, render_special, BrokenRun::all_bytes));
            if (want.find(kReplacementCharacter) == std::string::npos) CHECK(ours == want);
            differing += ours != want;
        }
    }
    CHECK(differing == 30);
}

TEST_CASE("tokenizer: the published vectors") {
    const auto vectors =
        nlohmann::json::parse(test::read_file(LAPIDARY_SOURCE_DIR "/tests/data/vocabulary/vectors.json"));
    REQUIRE(vectors.size() >= 36);
    for (const auto& vector : vectors) {
        const auto text = vector["text"].get<std::string>();
        const Ids ids = vector["ids"].get<Ids>();
        CHECK_MESSAGE(encode(test::real_tokenizer(), text, true) == ids, text);
        CHECK_MESSAGE(*test::real_tokenizer().decode(ids, true) == text, text);
    }
    CHECK(encode(test::real_tokenizer(), "\n\n") == Ids{108});
    CHECK(encode(test::real_tokenizer(), " Hello, world!") == Ids{26352, 236764, 1902, 236888});
    CHECK(encode(test::real_tokenizer(), "Hello, world! 12345") ==
          Ids{9259, 236764, 1902, 236888, 236743, 236770, 236778, 236800, 236812, 236810});
}

TEST_CASE("tokenizer: equals the naive algorithm on the real vocabulary") {
    compare_with_oracle(test::real_tokenizer(), 20240607, 300);
}

TEST_CASE("tokenizer: equals the naive algorithm on the bundled vocabulary") {
    compare_with_oracle(test::tiny_tokenizer(), 7, 1000);
}

TEST_CASE("tokenizer: added tokens only where asked for, and found by text") {
    const Tokenizer& real = test::real_tokenizer();
    CHECK(encode(real, "a<turn|>\n", true) == Ids{236746, 106, 107});
    CHECK(encode(real, "<|channel><|\"|>", true) == Ids{100, 52});
    CHECK(encode(real, "<<|turn>>", true) == Ids{236820, 105, 236813});
    for (const int32_t id : real.vocabulary().added_tokens) {
        const std::string text(real.piece(id));
        CHECK(encode(real, text, true) == Ids{id});
        for (const int32_t part : encode(real, text)) CHECK_MESSAGE(!real.is_added(part), text);
        CHECK(*real.decode(encode(real, text)) == text);
        CHECK(real.special(text) == id);
    }
    CHECK_FALSE(real.special("Hello").has_value());
    CHECK_FALSE(real.special("<|nothing|>").has_value());
    CHECK(real.require_special("<|nothing|>").error().code == Errc::unsupported_model);
    CHECK(test::tiny_tokenizer().special("<|turn>") == 15);
    CHECK(test::tiny_tokenizer().special("<turn|>") == 16);
}

TEST_CASE("tokenizer: plain text gives no control token, whatever the vocabulary calls one") {
    auto vocabulary = vocabulary_from_json(test::small_tokenizer_json({"#", "a", "b", "ab"}, {"a b"}), "");
    REQUIRE(vocabulary);
    for (int32_t id = 0; id < vocabulary->size(); ++id) {
        const std::string_view piece = vocabulary->piece(id);
        if (piece == "#" || piece == "ab") vocabulary->types[id] = TokenType::control;
    }
    const auto tokenizer = Tokenizer::create(std::move(*vocabulary));
    REQUIRE(tokenizer);
    const auto ids = tokenizer->encode("a#ab");
    REQUIRE(ids);
    for (const int32_t id : *ids) CHECK(tokenizer->type(id) != TokenType::control);
    CHECK(*tokenizer->decode(*ids) == "a#ab");
}

TEST_CASE("tokenizer: spans merge across their borders, but never into an added token") {
    const Tokenizer& real = test::real_tokenizer();
    const TextSpan hello[] = {{"Hel", false}, {"lo, wor", true}, {"", false}, {"ld!", false}};
    CHECK(*real.encode_spans(hello) == encode(real, "Hello, world!"));
    const TextSpan forged[] = {{"<|tu", true}, {"rn>", false}};
    CHECK(*real.encode_spans(forged) == encode(real, "<|turn>", false));
    const TextSpan mixed[] = {{"x<turn|>y", false}, {"<turn|>", true}, {"z", false}};
    Ids expected = encode(real, "x<turn|>y");
    expected.push_back(106);
    expected.push_back(encode(real, "z")[0]);
    CHECK(*real.encode_spans(mixed) == expected);
    CHECK(real.encode_spans({})->empty());
}

TEST_CASE("tokenizer: one bos, never two") {
    const Tokenizer& real = test::real_tokenizer();
    CHECK(*real.encode("Hello", {.add_bos = true}) == Ids{2, 9259});
    CHECK(*real.encode("<bos>Hello", {.parse_special = true, .add_bos = true}) == Ids{2, 9259});
    CHECK(*real.encode("", {.add_bos = true}) == Ids{2});
}

TEST_CASE("tokenizer: the work grows with the length, also on one long line") {
    const Tokenizer& real = test::real_tokenizer();
    for (const std::string unit : {"The quick brown fox ", "=", " ", "ab", "\U0001F999x"}) {
        const auto steps_of = [&](size_t bytes) {
            std::string text;
            while (text.size() < bytes) text += unit;
            const TextSpan span{text, false};
            int64_t steps = 0;
            REQUIRE(real.encode_spans({&span, 1}, false, &steps).has_value());
            // At first each pair once, then two for each of at most n - 1 merges.
            CHECK(steps <= 3 * static_cast<int64_t>(text.size()));
            return static_cast<double>(steps);
        };
        const double small = steps_of(1 << 17);
        const double large = steps_of(1 << 20);
        CHECK_MESSAGE(large <= 8.1 * small, unit);  // 8 times the text; the ends weigh less than 1 %
        CHECK_MESSAGE(large >= 7.9 * small, unit);
    }
}

TEST_CASE("tokenizer: the work also grows with the length where every byte could begin an added token") {
    const Tokenizer& tiny = test::tiny_tokenizer();
    const std::string text(1 << 16, '<');
    const TextSpan plain{text, false}, special{text, true};
    int64_t merging = 0, both = 0;
    const auto expected = tiny.encode_spans({&plain, 1}, false, &merging);
    CHECK(tiny.encode_spans({&special, 1}, false, &both).value() == expected.value());
    CHECK(both - merging <= 2 * static_cast<int64_t>(text.size()));  // '<' leads on, a second one does not
}

TEST_CASE("tokenizer: broken UTF-8 is refused with its place") {
    const auto result = test::tiny_tokenizer().encode("abc\xE2\x82 d");
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == Errc::invalid_argument);
    CHECK(result.error().message.find("offset 3") != std::string::npos);
    const TextSpan spans[] = {{"abc", false}, {"d\xFF", false}};
    CHECK(test::tiny_tokenizer().encode_spans(spans).error().message.find("offset 4") != std::string::npos);
}

TEST_CASE("tokenizer: texts beyond any context are refused before they take memory") {
    const std::string half(size_t{1} << 25, 'a');
    const TextSpan spans[] = {{half, false}, {half, false}, {"a", false}};
    const auto result = test::tiny_tokenizer().encode_spans(spans);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == Errc::invalid_argument);
    CHECK(result.error().message.find("67108865 bytes, the limit is 67108864") != std::string::npos);
}

TEST_CASE("tokenizer: decoding") {
    const Tokenizer& real = test::real_tokenizer();
    CHECK(*real.decode(Ids{26352, 106, 100}) == " Hello<|channel>");  // control hidden, user-defined shown
    CHECK(*real.decode(Ids{26352, 106}, true) == " Hello<turn|>");
    CHECK(*real.decode(Ids{478, 397, 404, 391}) == "\U0001F999");
    CHECK(*real.decode(Ids{478, 397, 9259}) == "\uFFFD\uFFFDHello");
    CHECK(real.token_bytes(478) == "\xF0");
    CHECK(real.piece(26352) == "\u2581Hello");
    for (const int32_t bad : {-1, 262144}) {
        const auto result = real.decode(Ids{2, bad});
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == Errc::invalid_argument);
        CHECK(result.error().message.find(std::to_string(bad)) != std::string::npos);
    }
}

TEST_CASE("tokenizer: vocabularies it cannot be exact with are refused") {
    auto mixing = vocabulary_from_json(test::small_tokenizer_json({"a", "\n", "a\n"}, {"a \n"}), "");
    REQUIRE(mixing.has_value());
    CHECK(Tokenizer::create(std::move(*mixing)).error().code == Errc::unsupported_model);
    std::string text = test::small_tokenizer_json({"a"}, {});
    text.replace(text.find("\u2581"), 3, 1, 'z');  // the vocabulary's; the normalizer's comes later
    auto spaceless = vocabulary_from_json(text, "");
    REQUIRE(spaceless.has_value());
    CHECK(Tokenizer::create(std::move(*spaceless)).error().code == Errc::bad_model_file);
}

TEST_CASE("tokenizer: flags of added tokens are obeyed as the tokenizers library does") {
    auto file = nlohmann::json::parse(test::small_tokenizer_json({"a", "b", "ab"}, {"a b"}));
    file["added_tokens"].push_back({{"id", 265}, {"content", "[W]"}, {"special", false}, {"normalized", true}});
    file["added_tokens"].push_back({{"id", 266}, {"content", "<m>"}, {"special", true}, {"lstrip", true}, {"rstrip", true}});
    auto vocabulary = vocabulary_from_json(file.dump(), "");
    REQUIRE(vocabulary.has_value());
    const auto tokenizer = Tokenizer::create(std::move(*vocabulary));
    REQUIRE(tokenizer.has_value());
    // A word is one in any text; a control token only where such are parsed.
    CHECK(encode(*tokenizer, "a[W]b") == Ids{262, 265, 263});
    CHECK(encode(*tokenizer, "a [W] b") == Ids{262, 261, 265, 261, 263});
    CHECK(encode(*tokenizer, "<m>").size() == 3);
    CHECK(*tokenizer->decode(Ids{262, 265, 266}) == "a[W]");
    // White space beside <m> goes with it, of any kind, but not what an added token before it took.
    CHECK(encode(*tokenizer, "a \n\u3000<m> \t b", true) == Ids{262, 266, 263});
    CHECK(encode(*tokenizer, " <m> <m> ", true) == Ids{266, 266});
    CHECK(encode(*tokenizer, "[W] <m>[W]", true) == Ids{265, 266, 265});
    const TextSpan spans[] = {{"a ", false}, {"<m>", true}, {" \n", false}, {" ab", false}};
    CHECK(*tokenizer->encode_spans(spans) == Ids{262, 266, 264});
}

TEST_CASE("tokenizer: characters without a piece become bytes") {
    auto vocabulary = vocabulary_from_json(test::small_tokenizer_json({"a"}, {}), "");
    REQUIRE(vocabulary.has_value());
    const auto tokenizer = Tokenizer::create(std::move(*vocabulary));
    REQUIRE(tokenizer.has_value());
    CHECK(encode(*tokenizer, "a\u00E9 b") == Ids{262, 5 + 0xC3, 5 + 0xA9, 261, 5 + 'b'});
}
