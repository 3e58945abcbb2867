// The media room's steps in order, for each kind of medium; see prompt_media.h.
#include "model/prompt_media.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/audio_file.h"
#include "model/media/frames.h"
#include "model/media/image_file.h"
#include "model/media/media_bytes.h"
#include "model/media/patches.h"
#include "model/media/placeholders.h"
#include "model/media/resize.h"
#include "model/media/video_file.h"

namespace lapidary {

// ---- parts ----------------------------------------------------------------------------------------

namespace {

Part part_of(Part::Kind kind, std::filesystem::path file, std::vector<uint8_t> encoded) {
    Part p;
    p.kind = kind;
    p.path = std::move(file);
    p.encoded = std::move(encoded);
    return p;
}

}  // namespace

Part Part::text(std::string value) {
    Part p;
    p.text_value = std::move(value);
    return p;
}
Part Part::image(std::filesystem::path file) { return part_of(Kind::image, std::move(file), {}); }
Part Part::image(std::vector<uint8_t> encoded) { return part_of(Kind::image, {}, std::move(encoded)); }
Part Part::image(std::vector<uint8_t> rgb, int32_t width, int32_t height) {
    Part p;
    p.kind = Kind::image;
    p.rgb = std::move(rgb);
    p.width = width;
    p.height = height;
    return p;
}
Part Part::audio(std::filesystem::path file) { return part_of(Kind::audio, std::move(file), {}); }
Part Part::audio(std::vector<uint8_t> encoded) { return part_of(Kind::audio, {}, std::move(encoded)); }
Part Part::audio(std::vector<float> samples, int32_t sample_rate) {
    Part p;
    p.kind = Kind::audio;
    p.samples = std::move(samples);
    p.sample_rate = sample_rate;
    return p;
}
Part Part::video(std::filesystem::path file, const VideoFrames& frames) {
    Part p = part_of(Kind::video, std::move(file), {});
    p.frames = frames;
    return p;
}
Part Part::video(std::vector<uint8_t> encoded, const VideoFrames& frames) {
    Part p = part_of(Kind::video, {}, std::move(encoded));
    p.frames = frames;
    return p;
}

namespace model {
namespace {

// What errors call a medium that has no file.
const char* noun(Part::Kind kind) {
    switch (kind) {
        case Part::Kind::video: return "the video";
        case Part::Kind::audio: return "the recording";
        case Part::Kind::image:
        case Part::Kind::text: break;
    }
    return "the picture";
}

// Of a part without values in memory: an error unless it names a file.
Result<void> check_named(const Part& part) {
    if (!part.path.empty() || !part.encoded.empty()) return {};
    const auto none = [](const char* what, const char* hint) { return Error{Errc::invalid_argument, what, hint}; };
    if (part.kind == Part::Kind::video)
        return none("a video came without bytes and without a path", "pass a file, or its bytes");
    if (part.kind == Part::Kind::audio)
        return none("a recording came without samples and without a path", "pass one sample or more, or a file");
    return none("a picture came without RGB bytes and without a path", "pass width * height * 3 bytes of RGB, or a file");
}

Result<MediaSource> source_of(const Part& part) {
    LAP_TRY(check_named(part));
    if (!part.encoded.empty()) return MediaSource::memory(part.encoded, noun(part.kind));
    return MediaSource::file(part.path);
}

Result<Image> picture(const Part& part, const SizeCheck& check) {
    if (part.rgb.empty()) LAP_TRY(check_named(part));
    if (part.rgb.empty() && !part.encoded.empty()) return decode_image(part.encoded, noun(part.kind), check);
    if (part.rgb.empty()) return read_image(part.path, check);
    const uint64_t expected = uint64_t(std::max(part.width, 0)) * uint64_t(std::max(part.height, 0)) * 3;
    if (expected == 0 || part.rgb.size() != expected)
        return Error{Errc::invalid_argument,
                     concat("a picture of ", part.width, " x ", part.height, " came with ", part.rgb.size(), " bytes, not ",
                            expected),
                     "pass width * height * 3 bytes of RGB"};
    return Image{static_cast<uint32_t>(part.width), static_cast<uint32_t>(part.height), part.rgb};
}

// Refuses so many tokens before the work that they stand for.
using TokenCheck = std::function<Result<void>(int64_t tokens)>;

PatchGeometry geometry_of(const VisionConfig& c) {
    return {static_cast<uint32_t>(c.patch_size), static_cast<uint32_t>(c.pooling)};
}

Result<MediaBlock> block_of(const VisionConfig& c, Image image, int budget) {
    const PatchGeometry geometry = geometry_of(c);
    LAP_ASSIGN(const ImageSize size, target_size({image.width, image.height}, static_cast<uint32_t>(budget), geometry));
    LAP_ASSIGN(image, resize_image(image, size));
    LAP_ASSIGN(auto patches,
               image_to_patches(image, geometry.side(), c.planar ? PatchOrder::planar : PatchOrder::interleaved));
    auto rows = std::make_shared<MediaRows>();
    rows->picture = true;
    rows->patches.values = std::move(patches.values);
    for (const auto& p : patches.positions) {
        rows->patches.x.push_back(p.x);
        rows->patches.y.push_back(p.y);
    }
    rows->seal();
    return MediaBlock{"", static_cast<int>(patches.positions.size()), std::move(rows)};
}

Result<MediaBlocks> decode_picture(const EngineState& state, const Part& part, const TokenCheck& take) {
    const VisionConfig& c = *state.loaded.config.vision;
    const int budget = state.options.image_tokens ? state.options.image_tokens : c.soft_tokens;
    const auto check = [&](uint32_t width, uint32_t height) -> Result<void> {
        LAP_ASSIGN(const size_t tokens, image_soft_tokens({width, height}, static_cast<uint32_t>(budget), geometry_of(c)));
        return take(static_cast<int64_t>(tokens));
    };
    LAP_ASSIGN(Image image, picture(part, check));
    LAP_ASSIGN(MediaBlock block, block_of(c, std::move(image), budget));
    return MediaBlocks{std::move(block)};
}

Result<std::vector<float>> samples_of(const Part& part, uint64_t limit) {
    if (part.samples.empty()) {
        LAP_TRY(check_named(part));
        return part.encoded.empty() ? read_audio(part.path, limit) : decode_audio(part.encoded, noun(part.kind), limit);
    }
    if (part.sample_rate < 1)
        return Error{Errc::invalid_argument, concat("a recording came with a sample rate of ", part.sample_rate),
                     "pass samples per second, such as 16000"};
    return prepare_samples(part.samples, 1, static_cast<uint32_t>(part.sample_rate), noun(part.kind), limit);
}

// Clips of what the model was made for, side by side, each with markers of its own. `room`: tokens that the context has.
Result<MediaBlocks> decode_recording(const EngineState& state, const Part& part, int64_t room) {
    const AudioConfig& c = *state.loaded.config.audio;
    const auto per_token = static_cast<size_t>(c.samples_per_token);
    LAP_ASSIGN(const std::vector<float> samples,
               samples_of(part, std::min(static_cast<uint64_t>(room) * per_token, kMaxAudioSamples)));
    MediaBlocks clips;
    for (size_t at = 0; at < samples.size() || clips.empty(); at += kClipTokens * per_token) {
        const auto clip = std::span(samples).subspan(at, std::min(samples.size() - at, kClipTokens * per_token));
        LAP_ASSIGN(auto frames, samples_to_frames(clip, static_cast<uint32_t>(per_token)));
        auto rows = std::make_shared<MediaRows>();
        rows->frames = std::move(frames.values);
        rows->seal();
        clips.push_back({"", static_cast<int>(frames.count), std::move(rows)});
    }
    return clips;
}

Result<FrameChoice> choice_of(const VideoFrames& wanted, int32_t otherwise) {
    FrameChoice choice{wanted.count, wanted.fps};
    if (!choice.frames && !choice.fps) choice.frames = otherwise;
    LAP_TRY(check_choice(choice));
    return choice;
}

// `shown`: told of so many frames of so many.
using FrameCount = std::function<Result<void>(size_t done, size_t total)>;

Result<MediaBlocks> decode_video(const EngineState& state, const Part& part, const TokenCheck& take, const FrameCount& shown) {
    const VisionConfig& c = *state.loaded.config.vision;
    LAP_ASSIGN(const FrameChoice choice, choice_of(part.frames, state.loaded.config.video_frames));
    LAP_ASSIGN(const MediaSource source, source_of(part));
    LAP_ASSIGN(VideoFacts facts, video_facts(source));
    for (;;) {
        const std::vector<int64_t> indices = sampled_frames(facts.frames, facts.fps, choice);
        if (facts.size.width > 0 && facts.size.height > 0) {
            LAP_ASSIGN(const size_t tokens,
                       image_soft_tokens(facts.size, static_cast<uint32_t>(c.video_soft_tokens), geometry_of(c)));
            LAP_TRY(take(static_cast<int64_t>(tokens * indices.size())));
        }
        MediaBlocks blocks;
        LAP_ASSIGN(const int64_t frames_there, read_frames(source, indices, [&](VideoFrame frame) -> Result<void> {
                       LAP_ASSIGN(MediaBlock block, block_of(c, std::move(frame.image), c.video_soft_tokens));
                       block.text_before = concat(blocks.empty() ? "" : " ", frame_time(frame.index, facts.fps), " ");
                       blocks.push_back(std::move(block));
                       return shown(blocks.size(), indices.size());
                   }));
        if (frames_there < 0) return blocks;
        // Not every packet showed a frame. Now that their number is known, they are spread over those that there are.
        facts.frames = frames_there;
        if (frames_there == 0)
            return media_error(source.name(), "its video track shows no frames", "check how the file was written");
    }
}

Result<void> check_part(const Part& part) {
    if (part.kind == Part::Kind::text || !part.rgb.empty() || !part.samples.empty()) return {};
    LAP_TRY(check_named(part));
    if (part.kind == Part::Kind::video) {
        LAP_TRY(choice_of(part.frames, 1));
        LAP_ASSIGN(const MediaSource source, source_of(part));
        return check_video(source);
    }
    const bool image = part.kind == Part::Kind::image;
    if (part.encoded.empty()) return image ? check_image(part.path) : check_audio(part.path);
    return image ? check_image(part.encoded, noun(part.kind)) : check_audio(part.encoded, noun(part.kind));
}

}  // namespace

Result<int> MediaDecoder::decode(const Part& part) {
    const bool sound = part.kind == Part::Kind::audio;
    LAP_TRY(state_.take_media(!sound, sound));
    LAP_TRY(report(0));
    const auto key = key_of(part);
    MediaMemory::Decoded blocks = key ? state_.media.decoded(*key) : nullptr;
    if (!blocks) {
        LAP_ASSIGN(MediaBlocks made, decode_anew(part));
        blocks = std::make_shared<const MediaBlocks>(std::move(made));
        // What changed while it was read is not what the key says.
        if (key && key_of(part) == key) state_.media.keep(*key, blocks);
    }
    int64_t tokens = 0;
    for (const MediaBlock& block : *blocks) tokens += block.soft_tokens;
    LAP_TRY(check_room(part.kind, tokens));
    room_ -= tokens;
    LAP_TRY(report(1000));
    media_.push_back(std::move(blocks));
    return static_cast<int>(media_.size()) - 1;
}

Result<MediaBlocks> MediaDecoder::decode_anew(const Part& part) const {
    if (part.kind == Part::Kind::audio) return decode_recording(state_, part, room_);
    const auto take = [&](int64_t tokens) { return check_room(part.kind, tokens); };
    if (part.kind == Part::Kind::image) return decode_picture(state_, part, take);
    return decode_video(state_, part, take, [&](size_t done, size_t total) { return report(1000 * done / total); });
}

Result<void> MediaDecoder::report(uint64_t thousandths) const {
    if (!progress_ || progress_("media", 1000 * media_.size() + thousandths, 1000 * total_)) return {};
    return Error{Errc::cancelled, "stopped on request"};
}

Result<void> MediaDecoder::check_room(Part::Kind kind, int64_t tokens) const {
    if (tokens <= room_) return {};
    const size_t count = media_.size() + 1;
    const std::string which = count > 1 ? concat("the first ", count, " pictures and recordings take ") : concat(noun(kind), " takes ");
    const char* fewer = kind == Part::Kind::video ? "ask for fewer frames" : "leave some out";
    const bool choice = count > 1 || kind == Part::Kind::video;
    return Error{Errc::context_full,
                 concat(which, state_.info.context - room_ + tokens, " tokens, the context holds ", state_.info.context),
                 choice ? concat(fewer, ", or set EngineOptions::context to more") : "set EngineOptions::context to more"};
}

}  // namespace model

// ---- before a model is there -----------------------------------------------------------------------

Result<void> check_media(std::span<const Part> parts) try {
    for (const Part& part : parts) LAP_TRY(model::check_part(part));
    return {};
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
