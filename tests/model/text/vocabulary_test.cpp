// Both vocabulary sources, on the real and the bundled vocabulary, and what they refuse.
#include "model/text/vocabulary.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

using nlohmann::json;

// The lists a GGUF file would hold, made from the JSON document without the code under test.
struct Lists {
    std::vector<std::string> pieces;
    std::vector<int32_t> types;
    std::vector<std::string> merges;

    explicit Lists(const std::string& tokenizer_json) {
        const json file = json::parse(tokenizer_json);
        const json& vocab = file["model"]["vocab"];
        pieces.resize(vocab.size());
        types.assign(vocab.size(), 1);
        for (const auto& [text, id] : vocab.items()) {
            pieces[id.get<size_t>()] = text;
            if (text.size() == 6 && text.starts_with("<0x")) types[id.get<size_t>()] = 6;
        }
        for (const json& token : file["added_tokens"]) {
            const auto text = token["content"].get<std::string>();
            const bool visible = text.find("channel") != std::string::npos || text == "<|\"|>" ||
                                 text.find("tool_") != std::string::npos;
            types[token["id"].get<size_t>()] = visible ? 4 : 3;
        }
        for (const json& merge : file["model"]["merges"]) {
            merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
        }
    }
    Result<Vocabulary> load(SpecialIds special) const {
        return vocabulary_from_lists({pieces.begin(), pieces.end()}, types, {merges.begin(), merges.end()},
                                     special, false);
    }
};

constexpr SpecialIds kIds{2, 1, 0, 3};

void check_refused(const Result<Vocabulary>& result, Errc code, const std::string& part_of_message) {
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == code);
    CHECK_MESSAGE(result.error().message.find(part_of_message) != std::string::npos, result.error().message);
    CHECK_FALSE(result.error().hint.empty());
}

// tokenizer.json of the small vocabulary after a change.
template <class Change>
std::string changed(Change change) {
    json file = json::parse(test::small_tokenizer_json({"a", "b", "ab"}, {"a b"}));
    change(file);
    return file.dump();
}

}  // namespace

TEST_CASE("vocabulary: the real one has the published counts") {
    const auto vocabulary = vocabulary_from_json(test::real_tokenizer_json(), "");
    REQUIRE(vocabulary.has_value());
    CHECK(vocabulary->size() == 262144);
    CHECK(vocabulary->merges.size() == 514906);
    CHECK(vocabulary->dropped_merges == 0);
    const auto count = [&](TokenType type) {
        return std::count(vocabulary->types.begin(), vocabulary->types.end(), type);
    };
    CHECK(count(TokenType::normal) == 261864);
    CHECK(count(TokenType::control) == 17);
    CHECK(count(TokenType::user_defined) == 7);
    CHECK(count(TokenType::byte) == 256);
    CHECK(vocabulary->added_tokens.size() == 24);
    CHECK(vocabulary->special == kIds);
    CHECK(vocabulary->piece(105) == "<|turn>");
    CHECK(vocabulary->piece(258884) == "<|video|>");
    CHECK(vocabulary->byte_ids[0] == 238);
    CHECK(vocabulary->byte_ids[255] == 238 + 255);
    // FNV-1a of all merges in the published file's order, each part ended by a zero byte.
    uint64_t hash = 0xcbf29ce484222325;
    for (const Merge& merge : vocabulary->merges) {
        for (const int32_t id : {merge.left, merge.right}) {
            for (const char c : std::string(vocabulary->piece(id)) + '\0')
                hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        }
    }
    CHECK(hash == 0xda790c55550393cc);
}

TEST_CASE("vocabulary: lists and JSON give the same, real") {
    const auto from_json = vocabulary_from_json(test::real_tokenizer_json(), "");
    const auto from_lists = Lists(test::real_tokenizer_json()).load(kIds);
    REQUIRE(from_json.has_value());
    REQUIRE(from_lists.has_value());
    CHECK(*from_json == *from_lists);
}

TEST_CASE("vocabulary: lists and JSON give the same, bundled") {
    const std::string text = test::read_file(test::tiny_path("tokenizer.json"));
    const auto from_json =
        vocabulary_from_json(text, test::read_file(test::tiny_path("tokenizer_config.json")));
    Lists lists(text);
    const auto from_lists = lists.load(kIds);
    REQUIRE(from_json.has_value());
    REQUIRE(from_lists.has_value());
    CHECK(*from_json == *from_lists);
    CHECK(from_json->size() == 2048);
    // A converter that marks the visible tokens as control tokens, and <unk> as unknown, changes nothing.
    std::replace(lists.types.begin(), lists.types.end(), 4, 3);
    lists.types[3] = 2;
    const auto other_types = lists.load(kIds);
    REQUIRE(other_types.has_value());
    CHECK(*from_json == *other_types);
}

TEST_CASE("vocabulary: merges that lead nowhere are dropped") {
    const auto vocabulary = vocabulary_from_json(
        test::small_tokenizer_json({"a", "b", "ab", "<turn", "|>"}, {"a x", "a b", "b a", "<turn |>"}), "");
    REQUIRE(vocabulary.has_value());
    CHECK(vocabulary->merges.size() == 1);
    CHECK(vocabulary->dropped_merges == 3);  // unknown part, unknown result, into an added token
}

TEST_CASE(
    "vocabulary: an added token may extend the vocabulary, and tokenizer_config names the special ids") {
    const std::string text = changed([](json& file) {
        file["added_tokens"].push_back({{"id", 265}, {"content", "<|new|>"}});
    });
    const auto vocabulary = vocabulary_from_json(
        text, R"({"bos_token":{"content":"<|new|>"},"pad_token":null,"add_bos_token":true})");
    REQUIRE(vocabulary.has_value());
    CHECK(vocabulary->size() == 266);
    CHECK(vocabulary->special.bos == 265);
    CHECK(vocabulary->special.pad == 0);
    CHECK(vocabulary->add_bos);
    CHECK(vocabulary->types[265] == TokenType::control);
}

TEST_CASE("vocabulary: damaged JSON is refused with a reason") {
    const auto load = [](const std::string& text) { return vocabulary_from_json(text, ""); };
    const Errc damaged = Errc::bad_model_file;
    check_refused(load(""), damaged, "not valid JSON");
    check_refused(load("{\"model\":"), damaged, "not valid JSON at byte");
    check_refused(load(std::string(100000, '[')), damaged, "not valid JSON");
    check_refused(load("{}"), Errc::unsupported_model, "model type");
    check_refused(load(changed([](json& f) { f["model"]["type"] = "Unigram"; })), Errc::unsupported_model,
                  "Unigram");
    check_refused(load(changed([](json& f) { f["model"]["byte_fallback"] = false; })),
                  Errc::unsupported_model, "byte_fallback");
    check_refused(load(changed([](json& f) { f["normalizer"] = nullptr; })), Errc::unsupported_model,
                  "normalizer");
    check_refused(load(changed([](json& f) { f["model"]["vocab"]["a"] = "x"; })), damaged, "not a number");
    check_refused(load(changed([](json& f) { f["model"]["vocab"]["a"] = 1.5; })), damaged, "whole number");
    check_refused(load(changed([](json& f) { f["model"]["vocab"]["a"] = -1; })), damaged, "-1");
    check_refused(load(changed([](json& f) { f["model"]["vocab"]["a"] = 18446744073709551615u; })), damaged,
                  "outside");
    check_refused(load(changed([](json& f) { f["model"]["vocab"]["a"] = 4000000; })), damaged, "4000000");
    check_refused(load(changed([](json& f) { f["model"]["vocab"]["a"] = 0; })), damaged, "belongs to both");
    check_refused(load(changed([](json& f) { f["model"]["vocab"].erase("a"); })), damaged,
                  "no piece has the id 262");
    check_refused(load(changed([](json& f) {
                      f["model"]["vocab"]["<0x0A>"] = 264;
                      f["model"]["vocab"].erase("ab");
                  })),
                  damaged, "no piece has the id 15");
    check_refused(load(changed([](json& f) { f["added_tokens"][0]["content"] = "<other>"; })), damaged,
                  "<other>");
    check_refused(load(changed([](json& f) { f["model"]["merges"][0] = json::array({"a"}); })), damaged,
                  "two parts");
    check_refused(load(changed([](json& f) { f["model"]["merges"][0] = "ab"; })), damaged, "left right");
    check_refused(vocabulary_from_json(changed([](json&) {}), "[]"), damaged, "tokenizer_config.json");
}

TEST_CASE("vocabulary: steps that would cut or write text otherwise are refused by name") {
    const auto with = [](const char* part, const char* value) {
        return vocabulary_from_json(changed([&](json& f) { f[part] = json::parse(value); }), "");
    };
    const char* replace = R"({"type":"Replace","pattern":{"String":" "},"content":"\u2581"})";
    const auto sequence = [&](const char* list, const std::string& steps) {
        return std::string(R"({"type":"Sequence",")") + list + "\":[" + steps + "]}";
    };
    CHECK(with("normalizer", sequence("normalizers", replace).c_str()));
    for (const char* step : {R"({"type":"Lowercase"})", R"({"type":"NFKC"})", R"({"type":"Strip","strip_left":true})"}) {
        for (const std::string& steps : {std::string(step) + "," + replace, std::string(replace) + "," + step})
            check_refused(with("normalizer", sequence("normalizers", steps).c_str()), Errc::unsupported_model,
                          "the normalizer has the step");
    }
    check_refused(with("normalizer", R"({"type":"Replace","pattern":{"Regex":" "},"content":"\u2581"})"),
                  Errc::unsupported_model, R"("Replace")");
    CHECK(with("pre_tokenizer", R"({"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false})"));
    check_refused(with("pre_tokenizer", R"({"type":"Digits","individual_digits":true})"), Errc::unsupported_model, R"("Digits")");
    check_refused(with("pre_tokenizer", R"({"type":"Split","pattern":{"String":" "},"behavior":"Isolated","invert":true})"),
                  Errc::unsupported_model, R"("Split")");
    const std::string decoders = R"({"type":"Replace","pattern":{"String":"\u2581"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"})";
    CHECK(with("decoder", sequence("decoders", decoders).c_str()));
    check_refused(with("decoder", sequence("decoders", decoders + R"(,{"type":"Strip","content":" ","start":1,"stop":0})").c_str()),
                  Errc::unsupported_model, R"("Strip")");
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"}) {
        const json value = std::string(key) == "dropout" ? json(0.1) : key[0] == 'i' ? json(true) : json("##");
        check_refused(vocabulary_from_json(changed([&](json& f) { f["model"][key] = value; }), ""),
                      Errc::unsupported_model, key);
        CHECK(vocabulary_from_json(changed([&](json& f) { f["model"][key] = nullptr; }), ""));
    }
}

TEST_CASE("vocabulary: settings that are not used are named") {
    std::vector<std::string> notes;
    const auto text = changed([](json& f) {
        f["post_processor"] = json::parse(R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<bos>"}},
            {"Sequence":{"id":"A"}},{"SpecialToken":{"id":"<eos>"}}]})");
        f["truncation"] = {{"max_length", 7}};
        f["future"] = 1;
        f["model"]["hints"] = true;
    });
    REQUIRE(vocabulary_from_json(text, R"({"add_eos_token":true,"clean_up_tokenization_spaces":false})", &notes));
    std::string all;
    for (const std::string& note : notes) all += note + "\n";
    CHECK(all.find(R"(post_processor adds "<eos>")") != std::string::npos);
    CHECK(all.find(R"(tokenizer.json: not used: "future")") != std::string::npos);
    CHECK(all.find(R"(tokenizer.json model: not used: "hints")") != std::string::npos);
    CHECK(all.find(R"(add_eos_token is "true")") != std::string::npos);
    CHECK(notes.size() == 4);
    notes.clear();
    REQUIRE(vocabulary_from_json(changed([](json& f) { f["model"]["merges"] = json::array(); }), "", &notes));
    CHECK(notes == std::vector<std::string>{"tokenizer.json has no merges: text is cut into single characters"});
    notes.clear();
    REQUIRE(vocabulary_from_json(test::read_file(test::tiny_path("tokenizer.json")),
                                 test::read_file(test::tiny_path("tokenizer_config.json")), &notes));
    CHECK(notes.empty());
}

TEST_CASE("vocabulary: an added token that is not special is a word of the text") {
    const auto text = changed([](json& f) {
        f["added_tokens"].push_back({{"id", 265}, {"content", "[WORD]"}, {"special", false}, {"normalized", true}});
    });
    const auto vocabulary = vocabulary_from_json(text, "");
    REQUIRE(vocabulary.has_value());
    CHECK(vocabulary->types[265] == TokenType::user_defined);
    check_refused(vocabulary_from_json(changed([](json& f) { f["added_tokens"][4]["single_word"] = true; }), ""),
                  Errc::unsupported_model, "single_word");
    for (const char* key : {"lstrip", "rstrip"})
        check_refused(vocabulary_from_json(changed([&](json& f) {
                          f["added_tokens"][4]["normalized"] = true;
                          f["added_tokens"][4][key] = true;
                      }),
                      ""),
                      Errc::unsupported_model, "normalized");
}

TEST_CASE("vocabulary: a piece missing among the bytes is named") {
    std::string text = test::small_tokenizer_json({"a"}, {});
    text[text.find("<0x41>") + 3] = 'Z';
    check_refused(vocabulary_from_json(text, ""), Errc::bad_model_file, "byte 65");
}

TEST_CASE("vocabulary: damaged lists are refused with a reason") {
    const Lists good(test::read_file(test::tiny_path("tokenizer.json")));
    const auto with = [&](auto change) {
        Lists lists = good;
        change(lists);
        return lists.load(kIds);
    };
    const Errc damaged = Errc::bad_model_file;
    check_refused(with([](Lists& l) { l.pieces.clear(), l.types.clear(); }), damaged, "no pieces");
    check_refused(with([](Lists& l) { l.types.pop_back(); }), damaged, "2047 token types");
    check_refused(with([](Lists& l) { l.pieces[300] = l.pieces[299]; }), damaged, "ids 299 and 300");
    check_refused(with([](Lists& l) { l.pieces[300].clear(); }), damaged, "piece 300 is empty");
    check_refused(with([](Lists& l) { l.pieces[300] = "\xFF"; }), damaged, "piece 300 is not UTF-8");
    check_refused(with([](Lists& l) { l.types[300] = 9; }), damaged, "unknown type 9");
    check_refused(with([](Lists& l) { l.merges[7] = "nospace"; }), damaged, "merge 7");
    check_refused(with([](Lists& l) { l.merges[7] = ""; }), damaged, "merge 7");
    check_refused(good.load({2, 1, 0, 4096}), damaged, "unk id 4096");
}
