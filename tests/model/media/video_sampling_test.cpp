// Which frames are taken, against what transformers 5.23 took of real clips, and the times that stand before them.
#include "model/media/video_sampling.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>

using namespace lapidary;
using namespace lapidary::model;

namespace {

using Indices = std::vector<int64_t>;

FrameChoice frames(int64_t count) { return {count, {}}; }
FrameChoice fps(double rate) { return {{}, rate}; }

}  // namespace

TEST_CASE("video sampling: frames as transformers takes them") {
    CHECK(sampled_frames(80, 25, frames(4)) == Indices{0, 20, 40, 60});
    CHECK(sampled_frames(80, 25, frames(7)) == Indices{0, 11, 22, 34, 45, 57, 68});
    CHECK(sampled_frames(80, 25, fps(1)) == Indices{0, 26, 53});
    CHECK(sampled_frames(96, 24000.0 / 1001, fps(1)) == Indices{0, 24, 48, 72});
    CHECK(sampled_frames(3, 10, fps(1)) == Indices{0});
}

TEST_CASE("video sampling: never more frames than there are, and ascending") {
    CHECK(sampled_frames(3, 10, frames(32)) == Indices{0, 1, 2});
    CHECK(sampled_frames(3, 10, fps(1000)) == Indices{0, 1, 2});
    CHECK(sampled_frames(3, 1e-300, fps(1000)) == Indices{0, 1, 2});  // the quotient is infinite
    for (const int64_t total : {1, 2, 31, 32, 33, 1000, 123456789})
        for (const int64_t count : {1, 3, 32, 65536}) {
            const Indices taken = sampled_frames(total, 30, frames(count));
            CHECK(static_cast<int64_t>(taken.size()) == std::min(total, count));
            CHECK(taken.front() == 0);
            CHECK(taken.back() < total);
            for (size_t i = 1; i < taken.size(); ++i) REQUIRE(taken[i - 1] < taken[i]);
        }
}

TEST_CASE("video sampling: times are floored, and minutes go on behind an hour") {
    CHECK(frame_time(0, 25) == "00:00");
    CHECK(frame_time(24, 25) == "00:00");
    CHECK(frame_time(25, 25) == "00:01");
    CHECK(frame_time(24, 24000.0 / 1001) == "00:01");
    CHECK(frame_time(23, 24000.0 / 1001) == "00:00");
    CHECK(frame_time(59 * 10 + 9, 10) == "00:59");
    CHECK(frame_time(600, 10) == "01:00");
    CHECK(frame_time(3 * 3600 + 62, 1) == "181:02");
}

TEST_CASE("video sampling: a choice is one number that makes sense") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(check_choice(frames(1)).has_value());
    CHECK(check_choice(fps(0.01)).has_value());
    for (const FrameChoice& wrong : {FrameChoice{}, FrameChoice{1, 1.0}, frames(0), frames(-3), frames(65537), fps(0), fps(-1),
                                     fps(nan), fps(1e9)})
        CHECK(check_choice(wrong).error().code == Errc::invalid_argument);
}
