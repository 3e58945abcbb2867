// Which chat templates are known, whatever their line ends, and what is said of others.
#include "model/text/known_templates.h"

#include <doctest/doctest.h>

#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

std::string tiny_template() { return test::read_file(test::tiny_path("chat_template.jinja")); }

std::string with_crlf(const std::string& text) {
    std::string out;
    for (const char c : text) out += c == '\n' ? "\r\n" : std::string(1, c);
    return out;
}

}  // namespace

TEST_CASE("known templates: none and the bundled one need no note") {
    CHECK(note_on_template("").empty());
    CHECK(note_on_template(" \r\n\t").empty());
    CHECK(note_on_template(tiny_template()).empty());
    CHECK(note_on_template(tiny_template() + "\n\n").empty());
    CHECK(note_on_template(with_crlf(tiny_template())).empty());
}

TEST_CASE("known templates: another one is named once, as what it is") {
    const std::string other = note_on_template("{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}");
    CHECK(other.find("another way than Gemma 4") != std::string::npos);
    CHECK(other.find("built-in") != std::string::npos);
    std::string edited = tiny_template();
    const size_t at = edited.find("<|turn>system");
    REQUIRE(at != std::string::npos);
    edited.replace(at, 13, "<|turn>System");
    const std::string changed = note_on_template(edited);
    CHECK(changed.find("differs from the published ones") != std::string::npos);
}
