#include "model/tools/bench/statistics.h"

#include <doctest/doctest.h>

using namespace lapidary::model;

TEST_CASE("bench statistics: known values") {
    CHECK(median({}) == 0);
    CHECK(median({3}) == 3);
    CHECK(median({5, 1, 3}) == 3);
    CHECK(median({4, 1, 3, 2}) == 2.5);
    CHECK(mean({1, 2, 6}) == 3);
    CHECK(standard_deviation({7}) == 0);
    CHECK(standard_deviation({2, 4, 4, 4, 5, 5, 7, 9}) == doctest::Approx(2.13809));
    CHECK(percentile({}, 0.5) == 0);
    CHECK(percentile({1, 2, 3, 4}, 0.5) == 2);
    CHECK(percentile({4, 3, 2, 1}, 0.95) == 4);
    CHECK(percentile({1, 2}, 0) == 1);
    CHECK(spread({10, 11, 9}) == doctest::Approx(0.2));
    CHECK(spread({}) == 0);
}

TEST_CASE("bench statistics: outliers stand far from a tight rest, small differences do not count") {
    CHECK(outliers({100, 101, 99, 100, 150}) == 1);
    CHECK(outliers({100, 101, 99, 100, 104}) == 0);  // far in deviations, within a twentieth
    CHECK(outliers({80, 90, 100, 110, 120}) == 0);
    CHECK(outliers({}) == 0);
}
