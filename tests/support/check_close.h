// Compares numbers with a tolerance per value; the tolerance comes from an error analysis in the test.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

namespace lapidary::test {

inline constexpr double kUnitRoundoff = 5.9604644775390625e-8;  // 2^-24, half an ulp of 1 in f32

// Empty when |actual[i] - expected[i]| <= tolerance(i) for all i; else the first value that is not.
// NaN is close to nothing; infinity only to itself.
template <class Actual, class Expected, class Tolerance>
std::string first_difference(const Actual& actual, const Expected& expected, int64_t count, Tolerance tolerance) {
    for (int64_t i = 0; i < count; ++i) {
        const double a = static_cast<double>(actual[i]), e = static_cast<double>(expected[i]);
        const double allowed = static_cast<double>(tolerance(i));
        if (a == e || std::abs(a - e) <= allowed) continue;
        return "value " + std::to_string(i) + " is " + std::to_string(a) + ", expected " + std::to_string(e) +
               ", off by " + std::to_string(std::abs(a - e) / allowed) + " tolerances";
    }
    return {};
}

}  // namespace lapidary::test
