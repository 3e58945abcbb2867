// Counting, sampling and converting around the module's decoder; see video_file.h.
#include "model/media/video_file.h"

#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/exif.h"
#include "model/media/ffmpeg_module.h"
#include "model/media/image_codecs.h"
#include "model/media/media_bytes.h"
#include "model/media/video_container.h"

namespace lapidary::model {

namespace {

constexpr std::string_view kDamaged = "the video cannot be read";

// The module's stream of a video, with what outlives it.
struct OpenVideo {
    const LapidaryFfmpeg* module = nullptr;
    LapidarySource source = {};
    LapidaryVideoInfo info = {};
    StreamPtr stream;
};

Result<void> check_type(const MediaSource& source) {
    constexpr size_t kHead = 1024;
    if (source.size() == 0) return media_error(source.name(), "is empty (0 bytes)", "check how the file was written");
    LAP_ASSIGN(const auto head, source.head(kHead));
    const std::string_view type = detect_media_type(head);
    if (has_tracks(type) || type == "GIF") return {};
    return media_error(source.name(), concat("is ", type, ", not a video"), "give MP4, MKV, WebM, MOV or another video");
}

Result<OpenVideo> open_video(const MediaSource& source) {
    LAP_TRY(check_type(source));
    LAP_TRY(check_whole(source));
    OpenVideo video;
    LAP_ASSIGN(video.module, ffmpeg_module("a video"));
    video.source = module_source(source);
    LapidaryText why = {};
    video.stream = StreamPtr(video.module->open_video(&video.source, &video.info, &why), {video.module});
    if (!video.stream) return module_error(source.name(), kDamaged, why);
    return video;
}

ImageSize upright(const LapidaryVideoInfo& info) {
    const auto width = static_cast<uint32_t>(std::max(info.width, 0)), height = static_cast<uint32_t>(std::max(info.height, 0));
    return info.orientation >= 5 ? ImageSize{height, width} : ImageSize{width, height};
}

Result<Image> take_frame(const OpenVideo& video, int32_t width, int32_t height, const std::string& name) {
    Image image{static_cast<uint32_t>(width), static_cast<uint32_t>(height), {}};
    LAP_TRY(check_image_size(image.width, image.height, kMaxImagePixels, 0, name));
    LAP_ASSIGN(image.rgb, allocate_pixels(size_t{image.width} * image.height * 3, name));
    LapidaryText why = {};
    if (video.module->frame_to_rgb(video.stream.get(), image.rgb.data(), &why) < 0) return module_error(name, kDamaged, why);
    return apply_orientation(std::move(image), video.info.orientation, name);
}

}  // namespace

Result<void> check_video(const MediaSource& source) {
    LAP_TRY(open_video(source));
    return {};
}

Result<VideoFacts> video_facts(const MediaSource& source) {
    LAP_ASSIGN(const OpenVideo video, open_video(source));
    LapidaryText why = {};
    const int64_t frames = video.module->count_frames(video.stream.get(), &why);
    if (frames < 0) return module_error(source.name(), kDamaged, why);
    if (frames == 0) return media_error(source.name(), "its video track has no frames", "check how the file was written");
    const bool known = video.info.fps_num > 0 && video.info.fps_den > 0;
    return VideoFacts{frames, known ? double{1} * video.info.fps_num / video.info.fps_den : kUnknownFps, upright(video.info)};
}

Result<int64_t> read_frames(const MediaSource& source, std::span<const int64_t> indices, const FrameSink& sink) {
    LAP_ASSIGN(const OpenVideo video, open_video(source));
    int64_t decoded = 0;
    for (const int64_t wanted : indices) {
        int32_t width = 0, height = 0;
        for (; decoded <= wanted; ++decoded) {
            LapidaryText why = {};
            const int32_t code = video.module->next_frame(video.stream.get(), &width, &height, &why);
            if (code < 0)
                return module_error(source.name(), concat("damaged video: ", decoded, " frames can be read, then"), why);
            if (code == 0) return decoded;
        }
        LAP_ASSIGN(Image image, take_frame(video, width, height, source.name()));
        LAP_TRY(sink({wanted, std::move(image)}));
    }
    return int64_t{-1};
}

}  // namespace lapidary::model
