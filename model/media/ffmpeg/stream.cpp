// Demuxing and decoding, whatever the stream holds. Bytes come from the caller alone: no protocol is used, and what a
// container names outside itself is not opened.
#include "model/media/ffmpeg/stream.h"

#include <algorithm>
#include <cstdio>

namespace lapidary::ffmpeg {

int say(LapidaryText* why, const char* what, int code) {
    char words[AV_ERROR_MAX_STRING_SIZE] = {};
    if (code != 0) av_strerror(code, words, sizeof words);
    std::snprintf(why->text, sizeof why->text, "%s%s%s", what, code != 0 ? ": " : "", words);
    return -1;
}

namespace {

constexpr int kIoBytes = 1 << 16;
constexpr int kVideoThreads = 4;
// 8K. A frame of more is damage, and decoders hold several.
constexpr int64_t kMaxFramePixels = int64_t{8192} * 4608;
// Files that hold what they show. Playlists, devices and lists of files are not among them.
constexpr char kContainers[] =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,wav,w64,"
    "flac,mp3,aac,ac3,eac3,aiff,au,caf,amr,ape,wv,tta,dts,mpc,mpc8,mlp,truehd,rm,mxf,nut,dv,gif,apng";

int read_packet(void* user, uint8_t* target, int count) {
    auto* s = static_cast<LapidaryStream*>(user);
    const int64_t wanted = std::min<int64_t>(count, s->bytes.size - s->position);
    if (wanted <= 0) return AVERROR_EOF;
    const int64_t got = s->bytes.read_at(s->bytes.user, s->position, target, wanted);
    if (got < 0) return AVERROR(EIO);
    if (got == 0) return AVERROR_EOF;
    s->position += got;
    return static_cast<int>(got);
}

int64_t seek(void* user, int64_t offset, int whence) {
    auto* s = static_cast<LapidaryStream*>(user);
    const int from = whence & ~AVSEEK_FORCE;
    if (from == AVSEEK_SIZE) return s->bytes.size;
    const int64_t base = from == SEEK_SET ? 0 : from == SEEK_CUR ? s->position : s->bytes.size;
    int64_t target = 0;
    if (__builtin_add_overflow(base, offset, &target) || target < 0) return AVERROR(EINVAL);
    return s->position = target;
}

int open_no_other(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); }

bool shows(const AVStream& stream, AVMediaType type) {
    return stream.codecpar->codec_type == type && (stream.disposition & AV_DISPOSITION_ATTACHED_PIC) == 0;
}

int open_container(LapidaryStream& s, LapidaryText* why) {
    auto* buffer = static_cast<uint8_t*>(av_malloc(kIoBytes));
    s.io = buffer ? avio_alloc_context(buffer, kIoBytes, 0, &s, read_packet, nullptr, seek) : nullptr;
    if (!s.io) av_free(buffer);
    s.container = avformat_alloc_context();
    if (!s.io || !s.container) return say(why, "no memory for the container");
    s.container->pb = s.io;
    s.container->flags |= AVFMT_FLAG_CUSTOM_IO;
    s.container->io_open = open_no_other;
    s.container->format_whitelist = av_strdup(kContainers);
    int code = avformat_open_input(&s.container, "", nullptr, nullptr);  // frees and clears the container when it fails
    if (code < 0) return say(why, "its container cannot be read", code);
    code = avformat_find_stream_info(s.container, nullptr);
    if (code < 0) return say(why, "its streams cannot be read", code);
    return 0;
}

int choose_stream(LapidaryStream& s, AVMediaType type, LapidaryText* why) {
    const int best = av_find_best_stream(s.container, type, -1, -1, nullptr, 0);
    if (best >= 0 && shows(*s.container->streams[best], type)) s.index = best;
    for (unsigned i = 0; i < s.container->nb_streams; ++i) {
        if (s.index < 0 && shows(*s.container->streams[i], type)) s.index = static_cast<int>(i);
        if (static_cast<int>(i) != s.index) s.container->streams[i]->discard = AVDISCARD_ALL;
    }
    if (s.index >= 0) return 0;
    return say(why, type == AVMEDIA_TYPE_VIDEO ? "it has no video track" : "it has no sound track");
}

int open_codec(LapidaryStream& s, LapidaryText* why) {
    const AVCodecParameters* parameters = s.stream()->codecpar;
    const AVCodec* decoder = avcodec_find_decoder(parameters->codec_id);
    char what[128];
    std::snprintf(what, sizeof what, "it is %s, which this FFmpeg has no decoder for", avcodec_get_name(parameters->codec_id));
    if (!decoder) return say(why, what);
    s.codec.reset(avcodec_alloc_context3(decoder));
    s.packet.reset(av_packet_alloc());
    s.frame.reset(av_frame_alloc());
    if (!s.codec || !s.packet || !s.frame) return say(why, "no memory for the decoder");
    int code = avcodec_parameters_to_context(s.codec.get(), parameters);
    if (code < 0) return say(why, "its parameters cannot be used", code);
    s.codec->pkt_timebase = s.stream()->time_base;
    s.codec->max_pixels = kMaxFramePixels;
    // Every thread of a video decoder holds a frame of its own.
    s.codec->thread_count = parameters->codec_type == AVMEDIA_TYPE_VIDEO ? kVideoThreads : 1;
    code = avcodec_open2(s.codec.get(), decoder, nullptr);
    return code < 0 ? say(why, "its decoder cannot be started", code) : 0;
}

}  // namespace
}  // namespace lapidary::ffmpeg

using namespace lapidary::ffmpeg;

LapidaryStream::~LapidaryStream() {
    codec.reset();
    if (container) avformat_close_input(&container);
    if (io) av_freep(&io->buffer);
    avio_context_free(&io);
}

int LapidaryStream::open(const LapidarySource& source, AVMediaType type, LapidaryText* why) {
    bytes = source;
    if (open_container(*this, why) < 0 || choose_stream(*this, type, why) < 0) return -1;
    return open_codec(*this, why);
}

int LapidaryStream::next_packet(LapidaryText* why) {
    for (;;) {
        av_packet_unref(packet.get());
        const int code = av_read_frame(container, packet.get());
        if (code == AVERROR_EOF) return 0;
        if (code < 0) return say(why, "it cannot be read on", code);
        if (packet->stream_index == index) return 1;
    }
}

int LapidaryStream::decode(LapidaryText* why) {
    for (;;) {
        int code = avcodec_receive_frame(codec.get(), frame.get());
        if (code == 0) {
            ++frames_decoded;
            return 1;
        }
        if (code == AVERROR_EOF) return 0;
        if (code != AVERROR(EAGAIN)) return say(why, "what comes then cannot be decoded", code);
        const int more = draining ? 0 : next_packet(why);
        if (more < 0) return -1;
        draining = draining || more == 0;
        code = avcodec_send_packet(codec.get(), more > 0 ? packet.get() : nullptr);
        if (code < 0 && code != AVERROR_EOF) return say(why, "what comes then cannot be decoded", code);
    }
}
