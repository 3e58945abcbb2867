// UTF-8 validity at its borders, and cutting.
#include "base/utf8.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

using namespace lapidary;

namespace {

// What a code point should be encoded as, surrogates too.
std::string utf8_of(char32_t c) {
    const auto tail = [c](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
    if (c < 0x80) return {static_cast<char>(c)};
    if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
    if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
    return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

}  // namespace

TEST_CASE("utf8: every code point is valid but the surrogates") {
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        const std::string text = utf8_of(c);
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

TEST_CASE("utf8: a cut never goes through a character") {
    CHECK(first_bytes("abc", 9) == "abc");
    CHECK(first_bytes("abc", 2) == "ab");
    CHECK(first_bytes("a\u00e9b", 2) == "a\u00e9");
    CHECK(first_bytes("\xFF\xFE\xFD", 2) == "\xFF\xFE");  // broken bytes count one by one
    CHECK(first_bytes("", 3).empty());
}

TEST_CASE("utf8: the mark goes once, and only from the front") {
    CHECK(without_byte_order_mark("\uFEFF\uFEFFa") == "\uFEFFa");
    CHECK(without_byte_order_mark("a\uFEFF") == "a\uFEFF");
}
