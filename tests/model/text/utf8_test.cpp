// UTF-8 validity at its borders, and trimming as Python does it.
#include "model/text/utf8.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/model/text/text_test_support.h"

namespace lapidary::model {

TEST_CASE("utf8: every code point is valid but the surrogates") {
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        const std::string text = test::utf8_of(c);
        const Utf8Head head = utf8_head(text);
        const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        const bool right = surrogate ? head.state == Utf8State::invalid
                                     : head.state == Utf8State::complete && head.code_point == c &&
                                           head.length_bytes == text.size();
        if (!right) FAIL("code point " << static_cast<uint32_t>(c));
    }
}

TEST_CASE("utf8: broken forms and where they are") {
    CHECK(valid_utf8(""));
    CHECK(find_invalid_utf8("ab\x80") == 2);
    CHECK(find_invalid_utf8("\xC0\xAF") == 0);          // overlong '/'
    CHECK(find_invalid_utf8("a\xE0\x80\xAF") == 1);     // overlong
    CHECK(find_invalid_utf8("\xF0\x80\x80\xAF") == 0);  // overlong
    CHECK(find_invalid_utf8("\xF4\x90\x80\x80") == 0);  // above U+10FFFF
    CHECK(find_invalid_utf8("ok \xE2\x82") == 3);       // cut off
    CHECK(find_invalid_utf8("\xFF") == 0);
    CHECK(utf8_head("\xE2\x82").state == Utf8State::incomplete);
    CHECK(utf8_head("\xE2\x28").state == Utf8State::invalid);
}

TEST_CASE("utf8: what stands in a message is short and without control characters") {
    CHECK(readable("user") == "\"user\"");
    CHECK(readable("\u00e9 \u2581") == "\"\u00e9 \u2581\"");
    CHECK(readable("a\nb\x1b[2J\x7f") == "\"a?b?[2J?\"");
    CHECK(readable("\u0085\u009b31m\xff") == "\"??31m?\"");  // C1 controls, a broken byte
    const std::string cut = readable(std::string(99, 'a') + "\u00e9\u00e9");
    CHECK(cut == "\"" + std::string(99, 'a') + "...\"");
    CHECK(readable(std::string(1 << 20, 'b')).size() < kMaxQuotedBytes + 8);
}

TEST_CASE("utf8: trim is str.strip()") {
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

}  // namespace lapidary::model
