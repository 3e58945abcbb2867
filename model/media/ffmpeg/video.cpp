// Frames of a video stream, counted, decoded and turned into RGB.
#include <climits>
#include <cmath>
#include <cstring>
#include <new>

extern "C" {
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
}

#include "model/media/ffmpeg/video.h"

namespace lapidary::ffmpeg {
namespace {

// Where the stream says how it was filmed; null: upright.
const int32_t* display_matrix(const AVStream& stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)  // FFmpeg 6.1
    const AVPacketSideData* data = av_packet_side_data_get(
        stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return data && data->size >= 9 * sizeof(int32_t) ? reinterpret_cast<const int32_t*>(data->data) : nullptr;
#else
    size_t size = 0;
    const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return data && size >= 9 * sizeof(int32_t) ? reinterpret_cast<const int32_t*>(data) : nullptr;
#endif
}

// The matrix maps a stored point to x' = a x + c y, y' = b x + d y. Only quarter turns and mirrors are heeded.
int32_t orientation_of(const AVStream& stream) {
    const int32_t* matrix = display_matrix(stream);
    if (!matrix) return 1;
    const int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    const bool turned = std::llabs(b) > std::llabs(a);
    if (turned) return b >= 0 ? (c >= 0 ? 5 : 6) : (c >= 0 ? 8 : 7);
    return a >= 0 ? (d >= 0 ? 1 : 4) : (d >= 0 ? 2 : 3);
}

constexpr int kAligned = 64;  // pixels; no vector holds more

AVRational rate_of(const AVStream& stream) {
    const AVRational mean = stream.avg_frame_rate, lowest = stream.r_frame_rate;
    if (mean.num > 0 && mean.den > 0) return mean;
    return lowest.num > 0 && lowest.den > 0 ? lowest : AVRational{0, 1};
}

}  // namespace

LapidaryStream* open_video(const LapidarySource* source, LapidaryVideoInfo* info, LapidaryText* why) {
    auto s = std::make_unique<LapidaryStream>();
    if (s->open(*source, AVMEDIA_TYPE_VIDEO, why) < 0) return nullptr;
    const AVStream& stream = *s->stream();
    const AVRational rate = rate_of(stream);
    *info = {rate.num, rate.den, stream.codecpar->width, stream.codecpar->height, orientation_of(stream)};
    return s.release();
}

int64_t count_frames(LapidaryStream* s, LapidaryText* why) {
    int64_t count = 0;
    for (;;) {
        const int more = s->next_packet(why);
        if (more <= 0) return more < 0 ? -1 : count;
        count += (s->packet->flags & AV_PKT_FLAG_DISCARD) == 0;
    }
}

int32_t next_frame(LapidaryStream* s, int32_t* width, int32_t* height, LapidaryText* why) {
    const int code = s->decode(why);
    if (code <= 0) return code;
    *width = s->frame->width;
    *height = s->frame->height;
    return 1;
}

// Bilinear is what PyAV and TorchCodec, the decoders of transformers, ask swscale for: it only fills in chroma, as the
// size stays. So do the matrix and range that the stream names.
int32_t frame_to_rgb(LapidaryStream* s, uint8_t* rgb, LapidaryText* why) {
    const AVFrame& f = *s->frame;
    const auto format = static_cast<AVPixelFormat>(f.format);
    s->scaler.reset(sws_getCachedContext(s->scaler.release(), f.width, f.height, format, f.width, f.height, AV_PIX_FMT_RGB24,
                                         SWS_BILINEAR, nullptr, nullptr, nullptr));
    if (!s->scaler) return say(why, "its pixels cannot be converted to RGB");
    const int* matrix = sws_getCoefficients(f.colorspace);
    sws_setColorspaceDetails(s->scaler.get(), matrix, f.color_range == AVCOL_RANGE_JPEG, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0,
                             1 << 16, 1 << 16);
    if (f.width > INT_MAX / 3 - kAligned) return say(why, "its rows are too long");
    // swscale's loops write whole vectors, or leave out the rest of a row that has no room for one: rows get it.
    const int row = 3 * f.width, stride[4] = {(f.width + kAligned - 1) / kAligned * kAligned * 3};
    const bool direct = stride[0] == row;
    try {
        if (!direct) s->pixels.resize(static_cast<size_t>(stride[0]) * static_cast<size_t>(f.height));
    } catch (const std::bad_alloc&) {
        return say(why, "there is no memory for its pixels");
    }
    uint8_t* rows[4] = {direct ? rgb : s->pixels.data()};
    const int done = sws_scale(s->scaler.get(), f.data, f.linesize, 0, f.height, rows, stride);
    for (int y = 0; !direct && y < done; ++y)
        std::memcpy(rgb + int64_t{y} * row, s->pixels.data() + int64_t{y} * stride[0], static_cast<size_t>(row));
    return done == f.height ? 0 : say(why, "its pixels cannot be converted to RGB");
}

}  // namespace lapidary::ffmpeg
