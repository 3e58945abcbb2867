// What a terminal would obey is shown instead.
#include "lapidary/printable.h"

#include <doctest/doctest.h>

using lapidary::Lines;
using lapidary::printable;

TEST_CASE("ordinary text of any script stays as it is") {
    for (const char* text : {"", "plain \\ text | 'quoted'", "h\xc3\xa4 \xe2\x96\x81 \xf0\x9f\x98\x80",
                             "\xd7\xa9\xd7\x9c\xe2\x80\x8f",                   // Hebrew with its mark
                             "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80"})  // an emoji joined of two
        CHECK(printable(text) == text);
}

TEST_CASE("every control character is written out") {
    for (int code = 0; code < 0xa0; code++) {
        if (code >= 0x20 && code < 0x7f) continue;
        std::string text;
        if (code < 0x80)
            text = static_cast<char>(code);
        else
            text = {static_cast<char>(0xc2), static_cast<char>(code)};
        const std::string shown = printable("a" + text + "b");
        CAPTURE(code);
        CHECK(shown.size() > 3);
        for (const char c : shown) CHECK((c >= 0x20 && c < 0x7f));
    }
    CHECK(printable("\x1b]0;title\x07") == "\\x1b]0;title\\x07");
    CHECK(printable("a\r\n\tb") == "a\\r\\n\\tb");
    CHECK(printable("\xc2\x9b"
                    "31m") == "\\u009b31m");  // the one-byte form of ESC [
    CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
}

TEST_CASE("marks that turn or break the line are written out") {
    CHECK(printable("a\xe2\x80\xae"
                    "fdp.exe") == "a\\u202efdp.exe");
    CHECK(printable("\xe2\x81\xa6x\xe2\x81\xa9") == "\\u2066x\\u2069");
    CHECK(printable("\xe2\x80\xa8\xe2\x80\xa9") == "\\u2028\\u2029");
}

TEST_CASE("bytes that are no UTF-8 are written out") {
    CHECK(printable("a\xff"
                    "b\x9b") ==
          "a\\xff"
          "b\\x9b");
    CHECK(printable("\xe2\x80") == "\\xe2\\x80");
}

TEST_CASE("pages keep their lines and tabs, and nothing else") {
    CHECK(printable("a\n\tb\x1b[2Jc\rd", Lines::keep) == "a\n\tb\\x1b[2Jc\\rd");
}
