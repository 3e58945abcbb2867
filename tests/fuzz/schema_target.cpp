// A schema, a zero byte, and a text: whatever the schema is, the text is read, its end is JSON, and there is always a way on.
#include <nlohmann/json.hpp>

#include "model/text/schema/grammar_builder.h"
#include "model/text/schema/token_mask.h"
#include "tests/fuzz/model_check.h"
#include "tests/fuzz/vocabularies.h"

namespace lapidary::fuzz {
namespace {

using namespace lapidary::model;

void one(Bytes bytes) {
    static const TokenTrie trie(tiny_tokenizer(), tiny_tokenizer().size());
    const std::string whole = text_of(bytes), schema = whole.substr(0, whole.find('\0'));
    const auto grammar = grammar_of_schema(schema);
    if (!grammar) {
        promise(grammar.error().code == Errc::bad_grammar, "a schema that is refused with another error");
        promise(!grammar.error().message.empty(), "an error without words");
        return;
    }
    // As far as the text goes; then the mask leads on, by bytes that hash to a choice.
    Matcher matcher(*grammar);
    TokenMask mask(*grammar, trie);
    std::string text;
    for (const char c : schema.size() < whole.size() ? whole.substr(schema.size() + 1) : std::string()) {
        if (!matcher.feed(static_cast<uint8_t>(c))) break;
        text += c;
    }
    uint32_t choice = hash_of(bytes);
    for (int step = 0; step < 12 && !matcher.complete(); ++step) {
        TokenBits bits(trie.words(), 0);
        mask.add(matcher, bits);
        int32_t id = static_cast<int32_t>((choice = choice * 1664525u + 1013904223u) % static_cast<uint32_t>(trie.vocab()));
        int32_t looked = 0;
        for (; looked < trie.vocab() && !has_bit(bits, id); ++looked) id = (id + 1) % trie.vocab();
        promise(looked < trie.vocab(), "no token goes on behind " + text);
        const std::string next = tiny_tokenizer().token_bytes(id);
        promise(matcher.feed(next), "the mask allows what the grammar does not");
        text += next;
    }
    if (matcher.complete()) promise(nlohmann::json::accept(text), "a complete text is no JSON: " + text);
}

std::vector<std::string> seeds() {
    using namespace std::string_literals;
    return {R"({"type":"object","properties":{"a":{"type":"string","pattern":"^x+$"},"b":{"$ref":"#"}},"required":["a"]})"s + '\0' + R"({"a":"xx"})",
            R"({"anyOf":[{"type":"integer","minimum":-3,"multipleOf":2},{"enum":["a",{"b":[1]}]}]})"s + '\0' + "-2",
            R"({"type":"array","prefixItems":[{"format":"date"}],"items":{"type":"number","exclusiveMaximum":1.5},"maxItems":4})"s + '\0' + "[\"2024-02-29\",1]",
            R"({"oneOf":[{"properties":{"k":{"const":1}},"required":["k"]},{"type":"null"}],"$defs":{"x":true}})"s + '\0' + "null",
            R"({"additionalProperties":{"type":"string","minLength":1,"maxLength":3},"allOf":[{"type":"object"}]})"s + '\0' + R"({"k":"\ud83d\ude00"})"};
}

std::vector<std::string> words() {
    return {"\"type\":", "\"string\"", "\"object\"", "\"integer\"", "\"pattern\":\"", "(", ")", "[^a]", "{2,3}", "\\\\d", "\"$ref\":\"#\"", "\"allOf\":[",
            "\"minimum\":", "1e3", "-0.5", "\"minItems\":", "\"items\":", "\"enum\":[", "\"properties\":{", "\"required\":[\"a\"]", "true", "false"};
}

}  // namespace

const Target kSchema = {.name = "schema", .max_bytes = 2048, .one = one, .seeds = seeds, .words = words};

}  // namespace lapidary::fuzz
