// The module's functions of the same names in interface.h, about sound.
#pragma once

#include "model/media/ffmpeg/stream.h"

namespace lapidary::ffmpeg {

LapidaryStream* open_sound(const LapidarySource* source, LapidarySoundInfo* info, LapidaryText* why);
int64_t read_sound(LapidaryStream* s, float* interleaved, int64_t frames, LapidaryText* why);

}  // namespace lapidary::ffmpeg
