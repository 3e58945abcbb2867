// A video or another container through the FFmpeg module: its facts, some of its frames, its sound. Without the module the
// walk over the containers' sizes is left.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "model/media/audio_file.h"
#include "model/media/media_bytes.h"
#include "model/media/video_file.h"
#include "tests/fuzz/media_seeds.h"
#include "tests/fuzz/model_check.h"

namespace lapidary::fuzz {
namespace {

using namespace lapidary::model;

void check_frames(const MediaSource& source) {
    const auto facts = video_facts(source);
    if (!facts) return check_error(facts.error());
    promise(facts->frames > 0, "a video without frames");
    promise(facts->fps > 0 && std::isfinite(facts->fps), "a rate that is none");
    const auto indices = sampled_frames(std::min<int64_t>(facts->frames, 4), facts->fps, {3, {}});
    const auto read = read_frames(source, indices, [](const VideoFrame& frame) -> Result<void> {
        promise(frame.image.width > 0 && frame.image.height > 0, "a frame without pixels");
        promise(frame.image.rgb.size() == size_t{frame.image.width} * frame.image.height * 3, "not as many pixels as the size says");
        return {};
    });
    if (!read) return check_error(read.error());
    promise(*read >= -1 && *read <= facts->frames, "more frames than packets");
}

void one(Bytes bytes) {
    check_frames(MediaSource::memory(bytes, "video"));
    if (bytes.empty() || !has_tracks(detect_media_type(bytes))) return;
    const auto samples = decode_audio(bytes, "sound", 16000 * 60);
    if (!samples) return check_error(samples.error());
    for (const float sample : *samples) promise(std::isfinite(sample), "a sample is not finite");
}

std::vector<std::string> seeds() { return media_files({".mp4", ".mkv", ".webm", ".mov", ".m4a"}); }

std::vector<std::string> words() {
    using namespace std::string_literals;
    return {"ftyp",     "moov",     "mdat",          "trak",     "mdia",         "minf",        "stbl",      "stsd",
            "stts",     "ctts",     "stsz",          "stco",     "co64",         "elst",        "avc1",      "mp4a",
            "esds",     "avcC",     "moof",          "traf",     "\x1a\x45\xdf\xa3"s, "\x18\x53\x80\x67"s,
            "\x1f\x43\xb6\x75"s, "\x16\x54\xae\x6b"s, "\xa3"s, "\0\0\0\1"s, "\0\0\1\x67"s, "\xff\xff\xff\xff"s};
}

}  // namespace

const Target kVideo = {.name = "video", .max_bytes = 16 << 10, .one = one, .seeds = seeds, .words = words};

}  // namespace lapidary::fuzz
