// Streaming text: whole characters only, broken bytes as U+FFFD, nothing lost.
#include "model/text/stream_decoder.h"

#include <doctest/doctest.h>

#include "base/utf8.h"
#include "model/text/tokenizer.h"
#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;

TEST_CASE("stream decoder: a character made of byte tokens appears when it is whole") {
    StreamDecoder decoder(test::real_tokenizer());
    CHECK(decoder.push(563) == " is");
    CHECK(decoder.push(478) == "");
    CHECK(decoder.push(397) == "");
    CHECK(decoder.push(404) == "");
    CHECK(decoder.push(391) == "\U0001F999");
    CHECK(decoder.push(12362) == "cpp");
    CHECK(decoder.finish() == "");
}

TEST_CASE("stream decoder: broken bytes") {
    StreamDecoder decoder(test::real_tokenizer());
    CHECK(decoder.push(238 + 0x80) == "\uFFFD");  // cannot begin a character
    CHECK(decoder.push(238 + 0xE2) == "");
    CHECK(decoder.push(238 + 0x82) == "");
    CHECK(decoder.push(238 + 0x41) == "\uFFFD\uFFFDA");  // cannot continue it
    CHECK(decoder.push(238 + 0xF0) == "");
    CHECK(decoder.push(9259) == "\uFFFDHello");
    CHECK(decoder.push(238 + 0xC3) == "");
    CHECK(decoder.push(2) == "");  // a control token says nothing
    CHECK(decoder.push(238 + 0xA9) == "\u00E9");
    CHECK(decoder.push(-5) == "\uFFFD");
    CHECK(decoder.push(238 + 0xE2) == "");
    CHECK(decoder.finish() == "\uFFFD");
    CHECK(decoder.finish() == "");
}

TEST_CASE("stream decoder: pieces are valid UTF-8 and join to the text") {
    const Tokenizer& tokenizer = test::tiny_tokenizer();
    test::TestRandom random(99);
    for (int i = 0; i < 200; ++i) {
        std::vector<int32_t> ids;
        for (int k = 0; k < 30; ++k) {
            const uint32_t bound = random.below(2) == 0 ? 2048 : 280;  // half of them specials and bytes
            ids.push_back(static_cast<int32_t>(random.below(bound)));
        }
        StreamDecoder decoder(tokenizer);
        std::string joined;
        for (const int32_t id : ids) {
            const std::string text = decoder.push(id);
            REQUIRE(valid_utf8(text));
            joined += text;
        }
        REQUIRE(joined + decoder.finish() == *tokenizer.decode(ids));
    }
}
