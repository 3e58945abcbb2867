// Schemas made at random, and texts that random choices among the allowed tokens of the whole vocabulary make of them. With
// LAPIDARY_SCHEMA_WALKS schema_walks.py has them written there and gives them to a validator of its own.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/text/schema/grammar_builder.h"
#include "model/text/schema/token_mask.h"
#include "model/text/tool_calls.h"
#include "model/text/tool_markup.h"
#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::model::test::TestRandom;
using Json = nlohmann::ordered_json;

namespace {

class SchemaMaker {
  public:
    explicit SchemaMaker(uint32_t seed) : random_(seed) {}

    Json make() {
        Json schema = value(3);
        if (random_.below(4) == 0) {  // by a reference, perhaps to itself
            Json node = {{"type", "object"}, {"properties", {{"v", schema}, {"next", {{"anyOf", {Json{{"$ref", "#/$defs/node"}}, Json{{"type", "null"}}}}}}}}, {"required", {"v"}}};
            return {{"$defs", {{"node", node}}}, {"$ref", "#/$defs/node"}};
        }
        return schema;
    }

  private:
    bool often() { return random_.below(3) != 0; }
    template <class T>
    T one_of(std::initializer_list<T> list) {
        return *(list.begin() + random_.below(static_cast<uint32_t>(list.size())));
    }

    Json value(int depth) {
        switch (random_.below(depth > 0 ? 11 : 6)) {
            case 0: return string();
            case 1: return number();
            case 2: return {{"type", one_of({"boolean", "null"})}};
            case 3: return {{"enum", {"red", "blue\n", 3, nullptr, Json{{"k", {1, 2}}}, 2.5, true, "é\""}}};
            case 4: return pattern();
            case 5: return {{"type", {"integer", "string", "null"}}, {"maxLength", 20}};
            case 6: case 7: return object(depth);
            case 8: return list(depth);
            case 9: return choice(depth);
            default: return {{"allOf", {object(depth), Json{{"type", "object"}, {"properties", {{"extra", value(depth - 1)}}}, {"required", {"extra"}}}}}};
        }
    }

    Json string() {
        Json schema = {{"type", "string"}};
        if (often()) schema["maxLength"] = 1 + random_.below(30);
        if (often()) schema["minLength"] = random_.below(2);
        if (random_.below(4) == 0) return {{"type", "string"}, {"format", one_of({"date", "time", "date-time", "uuid", "email", "ipv4", "uri", "hostname"})}};
        return schema;
    }

    Json pattern() {
        Json schema = {{"type", "string"},
                       {"pattern", one_of({"^[a-z]{1,8}$", "^\\d{3}-[A-F]+$", "^(yes|no|maybe)( \\w+)?$", "foo|bar", "^[^aeiou]{2,6}$", "\\.txt$", "^\"q\"$", "^.?$"})}};
        if (random_.below(4) == 0) schema["maxLength"] = 12;
        return schema;
    }

    Json number() {
        const bool integer = often();
        Json schema = {{"type", integer ? "integer" : "number"}};
        const int low = static_cast<int>(random_.below(400)) - 200;
        if (often()) schema[one_of({"minimum", "exclusiveMinimum"})] = integer ? Json(low) : Json(low / 8.0);
        if (often()) schema[one_of({"maximum", "exclusiveMaximum"})] = integer ? Json(low + 60) : Json(low / 8.0 + 2.5);
        if (integer && random_.below(4) == 0) schema["multipleOf"] = 1 + random_.below(12);
        return schema;
    }

    Json object(int depth) {
        Json schema = {{"type", "object"}, {"properties", Json::object()}};
        Json required = Json::array();
        for (uint32_t i = 0, n = random_.below(5); i < n; ++i) {
            const std::string name = one_of({"name", "a", "ab", "käse", "with \"quotes\"", "x/y", "date", ""});
            schema["properties"][name] = value(depth - 1);
            if (random_.below(2) == 0) required.push_back(name);
        }
        if (random_.below(3) == 0) schema["additionalProperties"] = random_.below(2) == 0 ? Json(false) : value(depth - 1);
        for (size_t i = 0; i < required.size(); ++i)
            if (std::count(required.begin(), required.end(), required[i]) == 1) schema["required"].push_back(required[i]);
        return schema;
    }

    Json list(int depth) {
        Json schema = {{"type", "array"}, {"items", value(depth - 1)}};
        if (random_.below(4) == 0) schema["prefixItems"] = {value(depth - 1), value(depth - 1)};
        if (often()) schema["minItems"] = random_.below(3);
        if (often()) schema["maxItems"] = 2 + random_.below(4);
        return schema;
    }

    Json choice(int depth) {
        if (random_.below(2) == 0) return {{"anyOf", {value(depth - 1), value(depth - 1)}}};
        Json a = {{"type", "object"}, {"properties", {{"kind", {{"const", "a"}}}, {"v", value(depth - 1)}}}, {"required", {"kind"}}};
        Json b = {{"type", "object"}, {"properties", {{"kind", {{"const", "b"}}}, {"v", value(depth - 1)}}}, {"required", {"kind", "v"}}};
        return {{"oneOf", {a, b}}};
    }

    TestRandom random_;
};

// The next bit from a random place on; -1: there is none.
int32_t any_bit(const TokenBits& bits, TestRandom& random) {
    const auto count = static_cast<int32_t>(bits.size() * 32), start = static_cast<int32_t>(random.below(static_cast<uint32_t>(count)));
    for (int32_t i = 0; i < count;) {
        const int32_t id = (start + i) % count;
        if (id % 32 == 0 && bits[static_cast<size_t>(id) / 32] == 0) {
            i += 32;
            continue;
        }
        if (has_bit(bits, id)) return id;
        ++i;
    }
    return -1;
}

const Tokenizer& tokenizer() { return test::real_tokenizer(); }
const TokenTrie& trie() {
    static const TokenTrie trie(tokenizer(), tokenizer().size());
    return trie;
}

// What random texts would hardly ever say.
const TokenBits& closers() {
    static const TokenBits closers = [] {
        TokenBits bits(trie().words(), 0);
        for (int32_t id = 0; id < tokenizer().size(); ++id) {
            const std::string bytes = tokenizer().token_bytes(id);
            if (bytes.find_first_of("\"]}") != std::string::npos || (bytes.size() == 1 && static_cast<uint8_t>(bytes[0]) < 0x80)) set_bit(bits, id);
        }
        return bits;
    }();
    return closers;
}

// A text of the grammar; empty: it was not complete after some hundred tokens. `slips`: in their stead some tokens are the next
// one's, which the grammar is not told.
std::string walk(const Grammar& grammar, uint32_t seed, int32_t quote, bool slips, bool& slipped) {
    Matcher matcher(grammar);
    TokenMask mask(grammar, trie(), quote);
    TestRandom random(seed);
    std::string text;
    for (int step = 0; step < 400; ++step) {
        CAPTURE(text);
        if (matcher.complete() && random.below(2) == 0) break;
        TokenBits bits(trie().words(), 0), few(trie().words(), 0);
        mask.add(matcher, bits);
        for (size_t w = 0; w < bits.size(); ++w) few[w] = bits[w] & closers()[w];
        if (quote >= 0 && has_bit(bits, quote)) set_bit(few, quote);
        int32_t id = random.below(100) < 30 + static_cast<uint32_t>(std::min(step, 60)) ? any_bit(few, random) : -1;
        if (id == -1) id = any_bit(bits, random);
        if (id == -1) {
            REQUIRE(matcher.complete());
            break;
        }
        if (slips && random.below(12) == 0) {
            text += tokenizer().token_bytes(std::min(id + 1, tokenizer().size() - 1));
            slipped = true;
            continue;
        }
        if (id == quote) {
            REQUIRE(matcher.feed(kQuoteSymbol));
            text += kQuoteMark;
            continue;
        }
        const std::string bytes = tokenizer().token_bytes(id);
        REQUIRE(matcher.feed(bytes));
        text += bytes;
    }
    return matcher.complete() ? text : "";
}

// For schema_walks.py, which names a file.
class Walks {
  public:
    Walks() : file_(std::getenv("LAPIDARY_SCHEMA_WALKS")) {
        if (file_) out_.open(file_, std::ios::app);
    }
    int wanted(int all) const { return file_ ? all : all / 10; }  // of whole runs
    void add(const std::string& schema, const std::string& text) {
        if (file_) out_ << nlohmann::json{{"schema", schema}, {"text", text}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    }

  private:
    const char* file_;
    std::ofstream out_;
};

}  // namespace

TEST_CASE("schema: random choices among allowed tokens never get stuck, and end in JSON") {
    const bool slips = std::getenv("LAPIDARY_SCHEMA_SLIPS") != nullptr;
    Walks walks;
    int finished = 0, refused = 0;
    for (uint32_t seed = 1; finished < walks.wanted(slips ? 100 : 200); ++seed) {
        REQUIRE(seed < 2000);
        const std::string schema = SchemaMaker(seed * 2654435761u).make().dump();
        CAPTURE(schema);
        const auto grammar = grammar_of_schema(schema);
        if (!grammar) {  // oneOf with twins, bounds without a number between them
            CHECK(grammar.error().code == Errc::bad_grammar);
            ++refused;
            continue;
        }
        bool slipped = false;
        const std::string text = walk(*grammar, seed, -1, slips, slipped);
        if (text.empty()) continue;
        ++finished;
        if (!slips) CHECK(nlohmann::json::accept(text));
        if (slipped || !slips) walks.add(schema, text);
    }
    CHECK(refused < finished);
}

TEST_CASE("schema: random choices in calls of tools never get stuck, and are read as arguments") {
    Walks walks;
    const int32_t quote = *tokenizer().special(kQuoteToken);
    int finished = 0;
    for (uint32_t seed = 1; finished < walks.wanted(50); ++seed) {
        REQUIRE(seed < 2000);
        const std::string schema = SchemaMaker(seed * 2654435761u).make().dump();
        CAPTURE(schema);
        const auto tools = parse_tools("[{\"function\":{\"name\":\"f\",\"parameters\":" + schema + "}}]");
        const auto grammar = tools ? grammar_of_calls(*tools, true) : Result<Grammar>(tools.error());
        if (!grammar) continue;  // no object, or as above
        bool slipped = false;
        const std::string text = walk(*grammar, seed, quote, false, slipped);
        if (text.empty()) continue;
        ++finished;
        CAPTURE(call_text(text));
        const auto call = parse_call(text, JsonValue{JsonValue::Kind::list});
        REQUIRE(call);
        CHECK(call->name == "f");
        walks.add(schema, call->arguments);
    }
}
