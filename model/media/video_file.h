// Frames of a video through the FFmpeg module: one at a time, decoded in order, upright RGB8. What is not asked for is
// decoded and dropped, so memory does not grow with the length of the video.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lapidary/result.h"
#include "model/media/image_file.h"
#include "model/media/media_source.h"
#include "model/media/resize.h"
#include "model/media/video_sampling.h"

namespace lapidary::model {

struct VideoFacts {
    int64_t frames = 0;   // by counting the packets of the track, as containers may not say or say something else
    double fps = 0;       // kUnknownFps where the container does not say
    ImageSize size = {};  // upright
};

// An error over a missing module, a container that is damaged or cut, and one without frames.
Result<VideoFacts> video_facts(const MediaSource& source);

// Opens it, and nothing further in: whether it is a video, whole as far as its container says, with a decoder for it.
Result<void> check_video(const MediaSource& source);

// One of the frames that were asked for.
struct VideoFrame {
    int64_t index = 0;
    Image image;
};
using FrameSink = std::function<Result<void>(VideoFrame)>;

// Frames of these ascending indices, each passed on before the next is decoded. Returns how many frames the video has where
// it ends before the last one wanted (packets that show nothing), else -1.
Result<int64_t> read_frames(const MediaSource& source, std::span<const int64_t> indices, const FrameSink& sink);

}  // namespace lapidary::model
