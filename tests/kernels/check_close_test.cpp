// The checkers themselves: a test that cannot fail proves nothing.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>

#include "tests/support/check_close.h"
#include "tests/support/guarded.h"

using namespace lapidary;
using namespace lapidary::test;

TEST_CASE("first_difference finds what is off, and NaN and infinity") {
    const auto tolerance = [](int64_t) { return 0.1; };
    const float a[3] = {1, 2, 3}, near[3] = {1.05f, 2, 2.95f}, far[3] = {1, 2.2f, 3};
    const float nan[3] = {1, NAN, 3}, infinite[3] = {1, INFINITY, 3};
    CHECK(first_difference(near, a, 3, tolerance) == "");
    CHECK(first_difference(far, a, 3, tolerance).find("value 1 is 2.2") == 0);
    CHECK(first_difference(nan, a, 3, tolerance) != "");
    CHECK(first_difference(a, nan, 3, tolerance) != "");
    CHECK(first_difference(nan, nan, 3, tolerance) != "");
    CHECK(first_difference(infinite, a, 3, tolerance) != "");
    CHECK(first_difference(infinite, infinite, 3, tolerance) == "");
}

TEST_CASE("the guard page stops a read past the end") {
    const Guarded<uint8_t> bytes(13);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        const volatile uint8_t* end = bytes.data() + 13;
        _exit(*end);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK((WIFSIGNALED(status) || WEXITSTATUS(status) != 0));
}
