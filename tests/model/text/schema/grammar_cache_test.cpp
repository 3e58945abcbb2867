// Which grammars are kept and shared, and that threads may ask for them at once.
#include "model/text/schema/grammar_cache.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "model/text/tool_markup.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

std::string longest(size_t length) { return R"({"type":"string","maxLength":)" + std::to_string(length) + "}"; }

}  // namespace

TEST_CASE("grammar cache: one schema is one grammar, and the last few are kept") {
    GrammarCache cache;
    const SharedGrammar first = *cache.of_schema(longest(0));
    for (size_t i = 1; i < GrammarCache::kMostKept; ++i) REQUIRE(cache.of_schema(longest(i)));
    CHECK(*cache.of_schema(longest(0)) == first);  // and is the last one now
    std::weak_ptr<const Grammar> second = *cache.of_schema(longest(1));
    for (size_t i = 2; i < 1 + GrammarCache::kMostKept; ++i) REQUIRE(cache.of_schema(longest(i)));
    CHECK(!second.expired());
    for (size_t i = 2; i < 2 + GrammarCache::kMostKept; ++i) REQUIRE(cache.of_schema(longest(i)));
    CHECK(second.expired());
    CHECK(*cache.of_schema(longest(0)) != first);
    CHECK(first->root < first->rules.size());  // who has it keeps it
    CHECK(cache.of_schema("{").error().code == Errc::bad_grammar);
    CHECK(cache.of_schema("{").error().code == Errc::bad_grammar);
}

TEST_CASE("grammar cache: calls are kept by their tools and by whether they are held") {
    GrammarCache cache;
    const auto tools = parse_tools(R"([{"function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"null"}}}}}])");
    const auto others = parse_tools(R"([{"function":{"name":"g"}}])");
    REQUIRE((tools && others));
    const SharedGrammar held = *cache.of_calls(*tools, true), readable = *cache.of_calls(*tools, false);
    CHECK(held != readable);
    CHECK(*cache.of_calls(*others, true) != held);
    CHECK(*cache.of_calls(*tools, true) == held);
    CHECK(*cache.of_calls(*tools, false) == readable);
}

TEST_CASE("grammar cache: threads that ask at once get the same") {
    GrammarCache cache;
    std::vector<SharedGrammar> got(8);
    std::vector<std::thread> threads;
    for (SharedGrammar& one : got)
        threads.emplace_back([&] { one = *cache.of_schema(R"({"type":"string","pattern":"^(a|b){1,200}$"})"); });
    for (std::thread& thread : threads) thread.join();
    for (const SharedGrammar& one : got) CHECK(one == got[0]);
}
