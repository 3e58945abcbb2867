// Google Benchmark over masks of tokens: what a schema costs to compile, and a mask in every kind of place, on the vocabulary of
// Gemma 4 (tests/data/vocabulary, unpacked by xz). `kept`: the place was met before in this reply.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/schema/grammar_builder.h"
#include "model/text/schema/token_mask.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

std::string unpacked() {
    std::string text;
    FILE* pipe = popen("xz -dc '" LAPIDARY_SOURCE_DIR "/tests/data/vocabulary/pieces.xz'", "r");
    char buffer[1 << 16];
    for (size_t got = 0; pipe && (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
    if (pipe) pclose(pipe);
    return text;
}

// The pieces without merges: masks need none.
Result<Tokenizer> make_tokenizer() {
    static const std::string text = unpacked();
    std::vector<std::string_view> pieces;
    std::vector<int32_t> types;
    for (size_t at = 0; at < text.size(); at += pieces.back().size() + 1) {
        pieces.emplace_back(text.c_str() + at);
        const bool byte = pieces.back().size() == 6 && pieces.back().starts_with("<0x");
        types.push_back(static_cast<int32_t>(byte ? TokenType::byte : TokenType::normal));
    }
    auto vocabulary = vocabulary_from_lists(pieces, types, {}, {.bos = 2, .eos = 1, .pad = 0, .unk = 3}, false);
    if (!vocabulary) return vocabulary.error();
    return Tokenizer::create(std::move(*vocabulary));
}

struct Subject {
    const char *name, *schema, *text;  // and where the mask is wanted
};
constexpr Subject kSubjects[] = {
    {"begin", R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}}})", ""},
    {"free_string", R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}}})", R"({"name": "Zo)"},
    {"behind_backslash", R"({"type":"string"})", "\"a\\"},
    {"short_string", R"({"type":"string","maxLength":40})", "\"abc"},
    {"integer", R"({"type":"integer","minimum":3,"maximum":120000})", "12"},
    {"free_key", R"({"type":"object"})", R"({"a":1,"b)"},
    {"pattern_words", R"({"type":"string","pattern":"^[a-z]+( [a-z]+)*$"})", "\"ab"},
    {"pattern_nearly_all", R"({"type":"string","pattern":"^[^,]*$"})", "\"ab"},
    {"format_email", R"({"type":"string","format":"email"})", "\"ab"},
    {"any_of", R"({"anyOf":[{"type":"string","pattern":"^a"},{"type":"string","maxLength":9},{"type":"array"}]})", "\"a"},
};

void compile(benchmark::State& state, const Subject& subject) {
    for (auto _ : state) benchmark::DoNotOptimize(grammar_of_schema(subject.schema).has_value());
}

void tables(benchmark::State& state, const Subject& subject, const TokenTrie& trie) {
    const auto grammar = grammar_of_schema(subject.schema);
    for (auto _ : state) benchmark::DoNotOptimize(TokenMask(*grammar, trie));
}

void mask(benchmark::State& state, const Subject& subject, const TokenTrie& trie, bool kept) {
    const auto grammar = grammar_of_schema(subject.schema);
    Matcher matcher(*grammar);
    if (!matcher.feed(std::string_view(subject.text))) return state.SkipWithError("the text is not of the schema");
    TokenMask whole(*grammar, trie);
    TokenBits bits(trie.words(), 0);
    for (auto _ : state) {
        if (!kept) whole.forget();
        whole.add(matcher, bits);
        benchmark::DoNotOptimize(bits.data());
    }
}

void trees(benchmark::State& state, const Tokenizer& tokenizer) {
    for (auto _ : state) benchmark::DoNotOptimize(TokenTrie(tokenizer, tokenizer.size()));
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    const auto tokenizer = make_tokenizer();
    if (!tokenizer) return std::cerr << tokenizer.error().message << '\n', 1;
    const TokenTrie trie(*tokenizer, tokenizer->size());
    benchmark::RegisterBenchmark("vocabulary", [&](benchmark::State& s) { trees(s, *tokenizer); })->Unit(benchmark::kMicrosecond);
    for (const Subject& subject : kSubjects) {
        const std::string name = subject.name;
        benchmark::RegisterBenchmark(("compile/" + name).c_str(), [&](benchmark::State& s) { compile(s, subject); })->Unit(benchmark::kMicrosecond);
        benchmark::RegisterBenchmark(("tables/" + name).c_str(), [&](benchmark::State& s) { tables(s, subject, trie); })->Unit(benchmark::kMicrosecond);
        benchmark::RegisterBenchmark(("mask/" + name + "/first").c_str(), [&](benchmark::State& s) { mask(s, subject, trie, false); })->Unit(benchmark::kMicrosecond);
        benchmark::RegisterBenchmark(("mask/" + name + "/kept").c_str(), [&](benchmark::State& s) { mask(s, subject, trie, true); })->Unit(benchmark::kMicrosecond);
    }
    benchmark::RunSpecifiedBenchmarks();
}
