// The module's functions of the same names in interface.h, about pictures.
#pragma once

#include "model/media/ffmpeg/stream.h"

namespace lapidary::ffmpeg {

LapidaryStream* open_video(const LapidarySource* source, LapidaryVideoInfo* info, LapidaryText* why);
int64_t count_frames(LapidaryStream* s, LapidaryText* why);
int32_t next_frame(LapidaryStream* s, int32_t* width, int32_t* height, LapidaryText* why);
int32_t frame_to_rgb(LapidaryStream* s, uint8_t* rgb, LapidaryText* why);

}  // namespace lapidary::ffmpeg
