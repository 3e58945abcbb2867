// Distances of words.
#include "base/edits.h"

#include <doctest/doctest.h>

using namespace lapidary;

TEST_CASE("edits: a letter more, less, another, and two swapped are one each") {
    CHECK(edits("", "") == 0);
    CHECK(edits("", "abc") == 3);
    CHECK(edits("gemma", "gemma") == 0);
    CHECK(edits("gema", "gemma") == 1);
    CHECK(edits("gemmma", "gemma") == 1);
    CHECK(edits("gamma", "gemma") == 1);
    CHECK(edits("gmema", "gemma") == 1);
    CHECK(edits("llama", "gemma") == 3);
}
