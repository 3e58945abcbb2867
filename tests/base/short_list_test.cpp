// Lists in messages: cut where people stop reading.
#include "base/short_list.h"

#include <doctest/doctest.h>

#include <vector>

using lapidary::short_list;

TEST_CASE("lists are cut") {
    const std::vector<int> numbers{1, 2, 3};
    CHECK(short_list(numbers) == "1, 2, 3");
    CHECK(short_list(numbers, 3) == "1, 2, 3");
    CHECK(short_list(numbers, 2) == "1, 2 and 1 more");
    CHECK(short_list(std::vector<std::string>()).empty());
}
