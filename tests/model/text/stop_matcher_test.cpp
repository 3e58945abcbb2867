// Stop strings across pieces: the same answer for every way of cutting the text.
#include "model/text/stop_matcher.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

struct Outcome {
    std::string text;
    bool stopped = false;

    bool operator==(const Outcome&) const = default;
};

Outcome run(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
    auto matcher = StopMatcher::create(stops);
    REQUIRE(matcher.has_value());
    Outcome outcome;
    for (const std::string& piece : pieces) {
        const auto step = matcher->feed(piece);
        outcome.text += step.text;
        outcome.stopped = step.stopped;
    }
    if (!outcome.stopped) outcome.text += matcher->finish();
    return outcome;
}

// By definition: the first place where some stop string ends; of those that end there the longest.
Outcome expected(const std::vector<std::string>& stops, const std::string& text) {
    for (size_t end = 1; end <= text.size(); ++end) {
        size_t longest = 0;
        for (const std::string& stop : stops) {
            if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
        }
        if (longest > 0) return {text.substr(0, end - longest), true};
    }
    return {text, false};
}

}  // namespace

TEST_CASE("stop: held back while it may begin, given when it does not") {
    auto matcher = StopMatcher::create({"END"});
    REQUIRE(matcher.has_value());
    CHECK(matcher->feed("abE").text == "ab");
    CHECK(matcher->feed("N").text == "");
    CHECK(matcher->feed("x").text == "ENx");
    CHECK(matcher->feed("EEN").text == "E");
    const auto last = matcher->feed("D more");
    CHECK(last.stopped);
    CHECK(last.text == "");
    CHECK(matcher->feed("later").text == "");
    CHECK(matcher->feed("later").stopped);
    CHECK(matcher->finish() == "");
}

TEST_CASE("stop: examples") {
    CHECK(run({}, {"abc", "def"}) == Outcome{"abcdef", false});
    CHECK(run({"\n\n"}, {"a\n", "\nb"}) == Outcome{"a", true});
    CHECK(run({"xyz"}, {"ab", "x", "y"}) == Outcome{"abxy", false});
    CHECK(run({"abc", "b"}, {"zabc"}) == Outcome{"za", true});
    CHECK(run({"b", "ab"}, {"z", "a", "b"}) == Outcome{"z", true});
    CHECK(run({"\u00E9"}, {"caf\u00E8", "caf\u00E9"}) == Outcome{"caf\u00E8caf", true});
}

TEST_CASE("stop: every cutting gives what the definition says") {
    test::TestRandom random(3);
    const auto word = [&](uint32_t longest) {
        std::string text(1 + random.below(longest), 'a');
        for (char& c : text) c = static_cast<char>('a' + random.below(2));
        return text;
    };
    int stopped = 0;
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::string> stops(1 + random.below(3));
        for (std::string& stop : stops) stop = word(6);
        std::vector<std::string> pieces(1 + random.below(8));
        std::string whole;
        for (std::string& piece : pieces) whole += piece = word(4);
        const Outcome outcome = run(stops, pieces);
        REQUIRE_MESSAGE(outcome == expected(stops, whole), whole);
        stopped += outcome.stopped;
    }
    CHECK(stopped > 300);
    CHECK(stopped < 2990);
}

TEST_CASE("stop: what would complete one, without being fed") {
    auto matcher = *StopMatcher::create({"a\n\n", " "});
    CHECK(matcher.feed("xa").text == "x");
    CHECK_FALSE(matcher.completes("\n"));
    CHECK(matcher.completes("\n\n\n"));
    CHECK(matcher.completes("b b"));
    CHECK_FALSE(matcher.completes(""));
    CHECK(matcher.finish() == "a");
}

TEST_CASE("stop: bad stop strings") {
    CHECK(StopMatcher::create({"a", ""}).error().message == "stop string 1 is empty");
    CHECK(StopMatcher::create({"\xC3"}).error().code == Errc::invalid_argument);
}
