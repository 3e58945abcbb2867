// Cut containers by their outermost sizes alone, which needs no FFmpeg.
#include "model/media/video_container.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "tests/model/media/support.h"
#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::model;
using test::kClips;

namespace {

bool mentions(const Error& error, std::string_view words) { return error.message.find(words) != std::string::npos; }

}  // namespace

TEST_CASE("check_whole: one byte less than a container says is too few") {
    for (const char* name : {"motion.mp4", "motion.mkv", "turned.mov", "full_range.avi", "tone.m4a", "sound.webm"}) {
        const auto bytes = file_bytes(kClips / name);
        CAPTURE(name);
        CHECK(check_whole(MediaSource::memory(bytes, name)).has_value());
        const auto cut = check_whole(MediaSource::memory(std::span(bytes).first(bytes.size() - 1), name));
        REQUIRE_FALSE(cut.has_value());
        CHECK(mentions(cut.error(), "truncated"));
    }
}

TEST_CASE("check_whole: sizes that are left open, and what stands behind the end") {
    const auto whole = [](std::vector<uint8_t> bytes) { return check_whole(MediaSource::memory(bytes, "clip")).has_value(); };
    auto live = file_bytes(kClips / "motion.mkv");
    const uint8_t segment[] = {0x18, 0x53, 0x80, 0x67};
    const auto at = std::search(live.begin(), live.end(), std::begin(segment), std::end(segment)) + 4;
    std::fill(at, at + 8, uint8_t{0xff});
    *at = 0x01;  // eight bytes of ones: unknown
    live.resize(live.size() - 100);
    CHECK(whole(live));

    auto tail = file_bytes(kClips / "motion.mp4");
    tail.insert(tail.end(), {0, 0, 0});  // too few for a box
    CHECK(whole(tail));
    auto open = std::vector<uint8_t>{0, 0, 0, 8, 'f', 't', 'y', 'p', 0, 0, 0, 0, 'm', 'd', 'a', 't', 1, 2, 3};
    CHECK(whole(open));
    open[11] = 100;
    CHECK_FALSE(whole(open));
    CHECK(whole({0x1a, 0x45, 0xdf, 0xa3, 0}));  // damage is the demuxer's to name
}
