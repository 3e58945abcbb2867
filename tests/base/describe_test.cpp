// Names from files and lists inside messages.
#include "base/describe.h"

#include <doctest/doctest.h>

#include <vector>

using namespace lapidary;

TEST_CASE("numbers and texts are joined") {
    CHECK(concat("a ", 3, " of ", std::string("b"), " ", uint64_t{1} << 63) ==
          "a 3 of b 9223372036854775808");
    CHECK(shape_text({2, 3}) == "[2, 3]");
    CHECK(shape_text({}) == "[]");
}

TEST_CASE("names are made safe to print") {
    CHECK(in_quotes("plain") == "'plain'");
    CHECK(in_quotes("h\xc3\xa4 \xe2\x96\x81 \xf0\x9f\x98\x80") ==
          "'h\xc3\xa4 \xe2\x96\x81 \xf0\x9f\x98\x80'");
    CHECK(in_quotes("a\nb\x1b[c\x7f") == "'a\\nb\\x1b[c\\x7f'");
    CHECK(in_quotes("\xc3") == "'\\xc3'");                             // cut short
    CHECK(in_quotes("\xc0\xaf") == "'\\xc0\\xaf'");                    // overlong
    CHECK(in_quotes("\xed\xa0\x80") == "'\\xed\\xa0\\x80'");           // a surrogate
    CHECK(in_quotes("\xf4\x90\x80\x80") == "'\\xf4\\x90\\x80\\x80'");  // above U+10FFFF
    CHECK(in_quotes("abcdef", 3) == "'abc...'");
    CHECK(in_double_quotes("a\nb") == "\"a\\nb\"");
    CHECK(in_double_quotes(std::string(1 << 20, 'b')) == "\"" + std::string(100, 'b') + "...\"");
    CHECK(in_quotes("ab\xc3\xa4"
                    "f",
                    3) == "'ab\xc3\xa4...'");  // a character is never cut
}

TEST_CASE("lists are cut") {
    const std::vector<int> numbers{1, 2, 3};
    CHECK(short_list(numbers) == "1, 2, 3");
    CHECK(short_list(numbers, 3) == "1, 2, 3");
    CHECK(short_list(numbers, 2) == "1, 2 and 1 more");
    CHECK(short_list(std::vector<std::string>()).empty());
}
