// Trimming as Python does it.
#include "model/text/white_space.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;

TEST_CASE("white space: trim is str.strip()") {
    // The 29 characters for which Python's str.isspace() is true.
    const char32_t spaces[] = {0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x1C,   0x1D,   0x1E,   0x1F,   0x20,
                               0x85,   0xA0,   0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006,
                               0x2007, 0x2008, 0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
    std::string all;
    for (const char32_t c : spaces) all += test::utf8_of(c);
    CHECK(trim(all + "a b" + all) == "a b");
    CHECK(trim(all).empty());
    CHECK(trim_left(all + "x ") == "x ");
    CHECK(trim_right(" x" + all) == " x");
    int count = 0;
    for (char32_t c = 0; c <= 0x10FFFF; ++c) count += is_python_space(c);
    CHECK(count == 29);
    CHECK(trim("\u200B x \uFEFF") == "\u200B x \uFEFF");  // zero-width space and BOM stay
}
