// Samples of a sound track as interleaved float. Rate and channels stay: mixing and resampling are the library's own.
#include "model/media/ffmpeg/sound.h"

#include <algorithm>

namespace lapidary::ffmpeg {
namespace {

int start_converter(LapidaryStream& s, LapidaryText* why) {
    AVFrame& f = *s.frame;
    SwrContext* converter = nullptr;
    const int code = swr_alloc_set_opts2(&converter, &f.ch_layout, AV_SAMPLE_FMT_FLT, f.sample_rate, &f.ch_layout,
                                         static_cast<AVSampleFormat>(f.format), f.sample_rate, 0, nullptr);
    s.converter.reset(converter);
    if (code < 0 || swr_init(s.converter.get()) < 0) return say(why, "its samples cannot be converted", code);
    s.sample_rate = f.sample_rate;
    s.channels = f.ch_layout.nb_channels;
    s.sample_format = f.format;
    return 0;
}

// `frame` holds samples that wait, or -1 and 0 as decode().
int fill(LapidaryStream& s, LapidaryText* why) {
    while (!s.frame_waits) {
        const int code = s.decode(why);
        if (code <= 0) return code;
        if (s.frame->nb_samples <= 0) continue;
        if (s.converter && (s.frame->sample_rate != s.sample_rate || s.frame->ch_layout.nb_channels != s.channels))
            return say(why, "its rate or its channels change on the way");
        // Some decoders choose anew with every packet. The converter is empty here: it holds nothing back at equal rates.
        if (s.converter && s.frame->format != s.sample_format && start_converter(s, why) < 0) return -1;
        s.frame_waits = true;
    }
    return 1;
}

}  // namespace

LapidaryStream* open_sound(const LapidarySource* source, LapidarySoundInfo* info, LapidaryText* why) {
    auto s = std::make_unique<LapidaryStream>();
    if (s->open(*source, AVMEDIA_TYPE_AUDIO, why) < 0) return nullptr;
    // Containers do not know what some codecs make of their headers: the first frame does.
    const int code = fill(*s, why);
    if (code == 0) say(why, "its sound track is empty");
    if (code <= 0 || start_converter(*s, why) < 0) return nullptr;
    *info = {s->channels, s->sample_rate};
    return s.release();
}

int64_t read_sound(LapidaryStream* s, float* interleaved, int64_t frames, LapidaryText* why) {
    int64_t done = 0;
    while (done < frames) {
        uint8_t* target = reinterpret_cast<uint8_t*>(interleaved + done * s->channels);
        const int room = static_cast<int>(std::min<int64_t>(frames - done, 1 << 20));
        // What came with an earlier call and had no room then is with the converter.
        int got = swr_convert(s->converter.get(), &target, room, nullptr, 0);
        if (got == 0) {
            const int code = fill(*s, why);
            if (code <= 0) return code < 0 ? -1 : done;
            got = swr_convert(s->converter.get(), &target, room, const_cast<const uint8_t**>(s->frame->extended_data),
                              s->frame->nb_samples);
            s->frame_waits = false;
        }
        if (got < 0) return say(why, "its samples cannot be converted", got);
        done += got;
    }
    return done;
}

}  // namespace lapidary::ffmpeg
