// Parameters as Ollama writes them, and such as it does not.
#include "model/stores/ollama_params.h"

#include <doctest/doctest.h>

using namespace lapidary;

namespace {

struct Read {
    stores::StoredDefaults defaults;
    std::vector<std::string> notes;
};
Read read(const std::string& text) {
    Read out;
    out.defaults = stores::read_params(text, "file", out.notes);
    return out;
}

}  // namespace

TEST_CASE("ollama params: what counts here, and what does not") {
    const Read all = read(R"({"temperature":0.5,"top_k":40,"top_p":0.9,"min_p":0.1,"stop":["<turn|>","User:"],"num_ctx":4096,"repeat_penalty":1.1})");
    CHECK(all.notes.empty());
    CHECK(all.defaults.temperature == 0.5);
    CHECK(all.defaults.top_k == 40);
    CHECK(all.defaults.top_p == 0.9);
    CHECK(all.defaults.min_p == 0.1);
    CHECK(all.defaults.stop == std::vector<std::string>{"<turn|>", "User:"});
    CHECK(all.defaults.unused == std::vector<std::string>{"num_ctx 4096", "repeat_penalty 1.1"});
    CHECK_FALSE(all.defaults.empty());
    CHECK(read("{}").defaults.empty());
    CHECK(read(R"({"top_k":-1})").defaults.top_k == 0);
    CHECK(read(R"({"stop":"x"})").defaults.stop == std::vector<std::string>{"x"});
}

TEST_CASE("ollama params: what makes no sense is named and left out") {
    for (const char* text : {R"({"temperature":-1})", R"({"temperature":"hot"})", R"({"temperature":1e300})", R"({"top_p":0})", R"({"top_p":1.5})",
                             R"({"min_p":2})", R"({"top_k":1.5})", R"({"top_k":3000000000})", R"({"top_k":-7})", R"({"stop":[1]})", R"({"stop":[""]})",
                             R"({"stop":{}})", R"({"stop":["a",null]})"}) {
        CAPTURE(text);
        const Read found = read(text);
        REQUIRE(found.notes.size() == 1);
        CHECK(found.notes[0].find("makes no sense") != std::string::npos);
        CHECK(found.defaults.empty());
    }
    for (const char* text : {"", "[]", "null", "{", R"({"a":1,"a":2})"}) {
        CAPTURE(text);
        const Read found = read(text);
        REQUIRE(found.notes.size() == 1);
        CHECK(found.notes[0].find("are not used") != std::string::npos);
        CHECK(found.defaults.empty());
    }
    const Read longer = read(R"({"template":")" + std::string(300, 'x') + R"("})");
    REQUIRE(longer.defaults.unused.size() == 1);
    CHECK(longer.defaults.unused[0].size() < 80);
}
