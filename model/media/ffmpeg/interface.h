// What the library and its FFmpeg module say to each other: plain C, so that either may be built by another compiler.
// The module is a shared object of its own, which ffmpeg_module.cpp opens when a medium needs it; FFmpeg's licence,
// which depends on how it was built, then concerns who installs both, not who links the library.
// Nothing here throws, prints, or opens a file: bytes come through `MediaSource` alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

// Changes with every change below. A module of another number is refused.
enum { kLapidaryFfmpegInterface = 1 };

struct LapidarySource {
    void* user;
    int64_t size;  // bytes
    // Fills `target` from `offset` on and returns how many bytes came; fewer than asked for at the end, -1 on failure.
    int64_t (*read_at)(void* user, int64_t offset, uint8_t* target, int64_t count);
};

struct LapidaryText {
    char text[256];  // ends in 0; why a call failed, without a full stop
};

struct LapidaryVideoInfo {
    int32_t fps_num, fps_den;    // mean rate; 0/1: unknown
    int32_t width, height;       // as stored, before `orientation`; 0: known with the first frame
    int32_t orientation;         // 1 to 8 as in EXIF: what makes a frame stand upright
};

struct LapidarySoundInfo {
    int32_t channels, sample_rate;
};

// One stream of a source. Used by one thread at a time; the source must outlive it.
struct LapidaryStream;

struct LapidaryFfmpeg {
    int32_t interface_version;  // kLapidaryFfmpegInterface
    const char* version;        // of FFmpeg, and the licence that this build of it is under

    // The first video stream that is no cover picture, or the best sound track. Null: `why` says why not.
    struct LapidaryStream* (*open_video)(const struct LapidarySource*, struct LapidaryVideoInfo*, struct LapidaryText* why);
    struct LapidaryStream* (*open_sound)(const struct LapidarySource*, struct LapidarySoundInfo*, struct LapidaryText* why);
    void (*close)(struct LapidaryStream*);  // null is fine

    // Reads the rest of the packets without decoding them and counts those that become frames. -1: `why`.
    int64_t (*count_frames)(struct LapidaryStream*, struct LapidaryText* why);
    // Decodes the next frame and keeps it in the decoder's own form. 1: there is one, of this size; 0: the end; -1: `why`.
    int32_t (*next_frame)(struct LapidaryStream*, int32_t* width, int32_t* height, struct LapidaryText* why);
    // The frame that next_frame kept as [height][width][3]. 0, or -1: `why`.
    int32_t (*frame_to_rgb)(struct LapidaryStream*, uint8_t* rgb, struct LapidaryText* why);
    // Whole frames of interleaved samples, full scale -1 to 1. 0: the end; -1: `why`.
    int64_t (*read_sound)(struct LapidaryStream*, float* interleaved, int64_t frames, struct LapidaryText* why);
};

// The only symbol of the module.
const struct LapidaryFfmpeg* lapidary_ffmpeg(void);
typedef const struct LapidaryFfmpeg* (*LapidaryFfmpegEntry)(void);

}  // extern "C"
