#include "base/utc.h"

#include <doctest/doctest.h>

TEST_CASE("utc: a time of this form, and none before the last") {
    const std::string now = lapidary::utc_now();
    const std::string form = "0000-00-00T00:00:00Z";
    REQUIRE(now.size() == form.size());
    for (size_t i = 0; i < form.size(); ++i) {
        CAPTURE(i);
        CHECK((form[i] == '0' ? now[i] >= '0' && now[i] <= '9' : now[i] == form[i]));
    }
    CHECK(now > "2026-01-01T00:00:00Z");
    CHECK(lapidary::utc_now() >= now);
}
