// One stream of a source, demuxed and decoded: what video.cpp and sound.cpp share. Internal to the module.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <vector>

#include "model/media/ffmpeg/interface.h"

namespace lapidary::ffmpeg {

// Calls `free` with the address of the pointer, as most of FFmpeg's want it.
template <class T, void (*free)(T**)>
struct FreeBy {
    void operator()(T* object) const { free(&object); }
};
using Frame = std::unique_ptr<AVFrame, FreeBy<AVFrame, av_frame_free>>;
using Packet = std::unique_ptr<AVPacket, FreeBy<AVPacket, av_packet_free>>;
using Codec = std::unique_ptr<AVCodecContext, FreeBy<AVCodecContext, avcodec_free_context>>;
using SoundConverter = std::unique_ptr<SwrContext, FreeBy<SwrContext, swr_free>>;

struct FreeScaler {
    void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
using Scaler = std::unique_ptr<SwsContext, FreeScaler>;

// `what`, with FFmpeg's words for `code` behind it where that is not 0. Returns -1, for callers to pass on.
int say(LapidaryText* why, const char* what, int code = 0);


}  // namespace lapidary::ffmpeg

struct LapidaryStream {
    ~LapidaryStream();
    // Opens the container, chooses a stream of `type` and its decoder. -1: `why`.
    int open(const LapidarySource& source, AVMediaType type, LapidaryText* why);
    // Reads packets until one of the stream comes. 1, 0 at the end, -1: `why`.
    int next_packet(LapidaryText* why);
    // Decodes until `frame` holds the next one. 1, 0 at the end, -1: `why`.
    int decode(LapidaryText* why);
    AVStream* stream() const { return container->streams[index]; }

    LapidarySource bytes = {};
    int64_t position = 0;  // in `bytes`
    AVFormatContext* container = nullptr;
    AVIOContext* io = nullptr;
    int index = -1;
    lapidary::ffmpeg::Codec codec;
    lapidary::ffmpeg::Packet packet;
    lapidary::ffmpeg::Frame frame;
    int64_t frames_decoded = 0;
    bool draining = false;  // all packets are with the decoder

    lapidary::ffmpeg::Scaler scaler;             // of pictures
    std::vector<uint8_t> pixels;                 // a frame whose rows have room at their ends
    lapidary::ffmpeg::SoundConverter converter;  // of samples
    int sample_rate = 0, channels = 0, sample_format = -1;
    bool frame_waits = false;                    // it was decoded, and the converter has not seen it
};
