// The entry of the module: its table of functions.
#include <cstdio>
#include <new>

#include "model/media/ffmpeg/sound.h"
#include "model/media/ffmpeg/video.h"

namespace lapidary::ffmpeg {
namespace {

// The library prints nothing. A program that has set a level for FFmpeg itself keeps it.
void be_silent() {
    if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
}

void close(LapidaryStream* s) { delete s; }

const LapidaryFfmpeg* table() {
    static char version[128];
    std::snprintf(version, sizeof version, "%s (%s)", av_version_info(), avcodec_license());
    static const LapidaryFfmpeg kTable = {kLapidaryFfmpegInterface, version,    open_video,   open_sound, close,
                                          count_frames,             next_frame, frame_to_rgb, read_sound};
    be_silent();
    return &kTable;
}

}  // namespace
}  // namespace lapidary::ffmpeg

extern "C" __attribute__((visibility("default"))) const LapidaryFfmpeg* lapidary_ffmpeg(void) {
    static const LapidaryFfmpeg* const kTable = lapidary::ffmpeg::table();
    return kTable;
}
