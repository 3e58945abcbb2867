// From conversations, parts and ids to prompts: the chat template, the tokenizer and the media room meet here.
#include <algorithm>
#include <new>

#include "base/try.h"
#include "base/utf8.h"
#include "lapidary/tools.h"
#include "model/engine_state.h"
#include "model/media/audio_file.h"
#include "model/media/frames.h"
#include "model/media/image_file.h"
#include "model/media/media_bytes.h"
#include "model/media/patches.h"
#include "model/media/placeholders.h"
#include "model/media/resize.h"
#include "model/text/chat_template.h"
#include "model/text/prompt_tokens.h"
#include "model/text/reply_parser.h"

namespace lapidary {

// ---- parts ----------------------------------------------------------------------------------------

Part Part::text(std::string value) {
    Part p;
    p.text_value = std::move(value);
    return p;
}
Part Part::image(std::filesystem::path file) {
    Part p;
    p.kind = Kind::image;
    p.path = std::move(file);
    return p;
}
Part Part::image(std::vector<uint8_t> rgb, int32_t width, int32_t height) {
    Part p;
    p.kind = Kind::image;
    p.rgb = std::move(rgb);
    p.width = width;
    p.height = height;
    return p;
}
Part Part::audio(std::filesystem::path file) {
    Part p;
    p.kind = Kind::audio;
    p.path = std::move(file);
    return p;
}
Part Part::audio(std::vector<float> samples, int32_t sample_rate) {
    Part p;
    p.kind = Kind::audio;
    p.samples = std::move(samples);
    p.sample_rate = sample_rate;
    return p;
}

Prompt::Prompt(std::shared_ptr<const model::PromptData> data) : data_(std::move(data)) {}
const std::vector<int32_t>& Prompt::ids() const { return data_->ids; }
const std::string& Prompt::text() const { return data_->text; }
bool Prompt::starts_in_thought() const { return data_->starts_in_thought; }

namespace {

struct Decoded {
    std::shared_ptr<model::MediaRows> rows;
    int soft_tokens = 0;
};

// Of a part without values in memory: an error unless it names a file.
Result<void> check_named(const Part& part) {
    if (!part.path.empty()) return {};
    const bool picture = part.kind == Part::Kind::image;
    return Error{Errc::invalid_argument,
                 picture ? "a picture came without RGB bytes and without a path"
                         : "a recording came without samples and without a path",
                 picture ? "pass width * height * 3 bytes of RGB, or a file" : "pass one sample or more, or a file"};
}

Result<model::Image> picture(const Part& part, const model::SizeCheck& check) {
    if (part.rgb.empty()) LAP_TRY(check_named(part));
    if (part.rgb.empty()) return model::read_image(part.path, check);
    const uint64_t expected = uint64_t(std::max(part.width, 0)) * uint64_t(std::max(part.height, 0)) * 3;
    if (expected == 0 || part.rgb.size() != expected)
        return Error{Errc::invalid_argument,
                     "a picture of " + std::to_string(part.width) + " x " + std::to_string(part.height) + " came with " +
                         std::to_string(part.rgb.size()) + " bytes, not " + std::to_string(expected),
                     "pass width * height * 3 bytes of RGB"};
    return model::Image{static_cast<uint32_t>(part.width), static_cast<uint32_t>(part.height), part.rgb};
}

// `take`: refuses so many tokens before the work that they stand for.
Result<Decoded> decode_picture(const model::EngineState& state, const Part& part,
                               const std::function<Result<void>(int64_t)>& take) {
    const model::VisionConfig& c = *state.loaded.config.vision;
    const int budget = state.options.image_tokens ? state.options.image_tokens : c.soft_tokens;
    const model::PatchGeometry geometry{static_cast<uint32_t>(c.patch_size), static_cast<uint32_t>(c.pooling)};
    const auto check = [&](uint32_t width, uint32_t height) -> Result<void> {
        LAP_ASSIGN(const size_t tokens,
                   model::image_soft_tokens({width, height}, static_cast<uint32_t>(budget), geometry));
        return take(static_cast<int64_t>(tokens));
    };
    LAP_ASSIGN(model::Image image, picture(part, check));
    LAP_ASSIGN(const model::ImageSize size,
               model::target_size({image.width, image.height}, static_cast<uint32_t>(budget), geometry));
    LAP_ASSIGN(image, model::resize_image(image, size));
    LAP_ASSIGN(auto patches, model::image_to_patches(image, geometry.side(),
                                                     c.planar ? model::PatchOrder::planar
                                                              : model::PatchOrder::interleaved));
    Decoded out{std::make_shared<model::MediaRows>(), static_cast<int>(patches.positions.size())};
    out.rows->picture = true;
    out.rows->patches.values = std::move(patches.values);
    for (const auto& p : patches.positions) {
        out.rows->patches.x.push_back(p.x);
        out.rows->patches.y.push_back(p.y);
    }
    return out;
}

// `room`: tokens that the context still has for it.
Result<Decoded> decode_recording(const model::EngineState& state, const Part& part, int64_t room) {
    const model::AudioConfig& c = *state.loaded.config.audio;
    const uint64_t limit = std::min(static_cast<uint64_t>(room) * static_cast<uint64_t>(c.samples_per_token),
                                    model::kMaxAudioSamples);
    std::vector<float> samples;
    if (part.samples.empty()) {
        LAP_TRY(check_named(part));
        LAP_ASSIGN(samples, model::read_audio(part.path, limit));
    } else {
        if (part.sample_rate < 1)
            return Error{Errc::invalid_argument,
                         "a recording came with a sample rate of " + std::to_string(part.sample_rate),
                         "pass samples per second, such as 16000"};
        LAP_ASSIGN(samples, model::prepare_samples(part.samples, 1, static_cast<uint32_t>(part.sample_rate),
                                                   "the recording", limit));
    }
    LAP_ASSIGN(auto frames, model::samples_to_frames(samples, static_cast<uint32_t>(c.samples_per_token)));
    Decoded out{std::make_shared<model::MediaRows>(), static_cast<int>(frames.count)};
    out.rows->frames = std::move(frames.values);
    return out;
}

Error no_video(const Part& part) {
    return {Errc::media_unsupported, "video is not available in this version: " + part.path.string(),
            "give single frames as pictures"};
}

// Decodes the media of one prompt, and stops when they take more than the context has.
class Decoder {
  public:
    explicit Decoder(model::EngineState& state) : state_(state), room_(state.info.context) {}

    // Its index in media().
    Result<int> decode(const Part& part) {
        if (part.kind == Part::Kind::video) return no_video(part);
        const bool picture = part.kind == Part::Kind::image;
        LAP_TRY(state_.take_media(picture, !picture));
        const auto take = [&](int64_t tokens) { return check_room(picture, tokens); };
        LAP_ASSIGN(Decoded decoded, picture ? decode_picture(state_, part, take) : decode_recording(state_, part, room_));
        LAP_TRY(take(decoded.soft_tokens));
        room_ -= decoded.soft_tokens;
        media_.push_back(std::move(decoded));
        return static_cast<int>(media_.size()) - 1;
    }
    const std::vector<Decoded>& media() const { return media_; }

  private:
    Result<void> check_room(bool picture, int64_t tokens) const {
        if (tokens <= room_) return {};
        const size_t count = media_.size() + 1;
        const std::string which = count > 1   ? "the first " + std::to_string(count) + " pictures and recordings take "
                                  : picture ? "the picture takes "
                                            : "the recording takes ";
        return Error{Errc::context_full,
                     which + std::to_string(state_.info.context - room_ + tokens) + " tokens, the context holds " +
                         std::to_string(state_.info.context),
                     count > 1 ? "leave some out, or set EngineOptions::context to more"
                               : "set EngineOptions::context to more"};
    }

    model::EngineState& state_;
    int64_t room_;  // tokens
    std::vector<Decoded> media_;
};

// Tokenises a rendered prompt and puts the decoded media into their places.
Result<std::shared_ptr<model::PromptData>> assemble(const model::EngineState& state, const model::RenderedPrompt& rendered,
                                               const std::vector<Decoded>& media) {
    LAP_ASSIGN(const model::Tokenizer* tokenizer, tokenizer_of(state));
    std::vector<std::vector<model::SoftBlock>> blocks;
    for (const Decoded& d : media) blocks.push_back({{"", d.soft_tokens}});
    LAP_ASSIGN(model::PromptTokens tokens, model::tokenize_prompt(*tokenizer, rendered, blocks));
    auto data = std::make_shared<model::PromptData>();
    data->text = rendered.text;
    data->ids = std::move(tokens.ids);
    data->starts_in_thought = model::open_thought(*tokenizer, data->ids).has_value();
    for (const int32_t id : data->ids)
        if (id >= state.loaded.config.vocab)
            return Error{Errc::invalid_argument,
                         "the prompt holds '" + std::string(tokenizer->piece(id)) + "' (" + std::to_string(id) +
                             "), for which the model has no row",
                         "leave it out, or use a model whose embedding has " + std::to_string(id + 1) + " rows"};
    const int32_t bos = state.loaded.config.ids.bos;
    const bool add_bos = bos >= 0 && (data->ids.empty() || data->ids.front() != bos);
    if (add_bos) data->ids.insert(data->ids.begin(), bos);
    for (const model::SoftRun& run : tokens.runs)
        data->media.push_back({static_cast<int32_t>(run.position) + (add_bos ? 1 : 0), run.soft_tokens,
                               media[static_cast<size_t>(run.media_index)].rows});
    return data;
}

}  // namespace

// ---- before a model is there -----------------------------------------------------------------------

Result<void> check_media(std::span<const Part> parts) try {
    for (const Part& part : parts) {
        if (part.kind == Part::Kind::video) return no_video(part);
        const bool image = part.kind == Part::Kind::image && part.rgb.empty();
        const bool audio = part.kind == Part::Kind::audio && part.samples.empty();
        if (image || audio) LAP_TRY(check_named(part));
        if (image) LAP_TRY(model::check_image(part.path));
        if (audio) LAP_TRY(model::check_audio(part.path));
    }
    return {};
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<void> check_text(std::string_view text, std::string_view name) {
    const size_t broken = find_invalid_utf8(text);
    if (broken == std::string_view::npos) return {};
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    const std::string_view type = model::detect_media_type({bytes, text.size()});
    if (type != "text" && type != "unknown data")
        return Error{Errc::invalid_argument, std::string(name) + " is " + std::string(type) + ", not text",
                     "give pictures and recordings as parts of their own"};
    return Error{Errc::invalid_argument,
                 std::string(name) + ": the byte at offset " + std::to_string(broken) + " is not valid UTF-8",
                 "convert the text to UTF-8"};
}

// ---- the engine's ways to a prompt ----------------------------------------------------------------

Result<std::vector<int32_t>> Engine::tokenize(std::string_view text, const TokenizeOptions& options) const {
    LAP_ASSIGN(const model::Tokenizer* tokenizer, tokenizer_of(*state_));
    LAP_TRY(check_text(text, "the text"));
    return tokenizer->encode(text, {.parse_special = options.special, .add_bos = options.bos});
}

Result<std::string> Engine::detokenize(std::span<const int32_t> ids, bool special) const {
    LAP_ASSIGN(const model::Tokenizer* tokenizer, tokenizer_of(*state_));
    return tokenizer->decode(ids, special);
}

Result<std::string> Engine::piece(int32_t id) const {
    LAP_ASSIGN(const model::Tokenizer* tokenizer, tokenizer_of(*state_));
    if (!tokenizer->valid_id(id))
        return Error{Errc::invalid_argument,
                     "token id " + std::to_string(id) + " is outside the vocabulary of " +
                         std::to_string(tokenizer->size()),
                     "ids go from 0 to " + std::to_string(tokenizer->size() - 1)};
    return std::string(tokenizer->piece(id));
}

Result<Prompt> Engine::render(const Conversation& conversation) const try {
    LAP_TRY(tokenizer_of(*state_));
    Decoder decoder(*state_);
    for (const Message& m : conversation.messages)
        for (const Part& p : m.parts)
            if (p.kind == Part::Kind::text)
                LAP_TRY(check_text(p.text_value, "a text of the prompt"));
            else
                LAP_TRY(decoder.decode(p));
    LAP_ASSIGN(const model::RenderedPrompt rendered,
               model::render_chat(conversation.messages, {.thinking = conversation.think,
                                                          .allow_special = conversation.allow_special,
                                                          .tools = conversation.tools,
                                                          .preserve_thinking = conversation.preserve_thinking}));
    LAP_ASSIGN(auto data, assemble(*state_, rendered, decoder.media()));
    return model::Access::prompt(std::move(data));
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<Prompt> Engine::raw(std::span<const Part> parts, bool special) const try {
    LAP_TRY(tokenizer_of(*state_));
    model::RenderedPrompt rendered;
    Decoder decoder(*state_);
    for (const Part& p : parts) {
        model::RenderedPiece piece{p.kind, p.text_value, special};
        if (p.kind == Part::Kind::text) {
            LAP_TRY(check_text(p.text_value, "a text of the prompt"));
        } else {
            piece.text = p.kind == Part::Kind::image ? "<|image|>" : "<|audio|>";
            LAP_ASSIGN(piece.media_index, decoder.decode(p));
        }
        rendered.text += piece.text;
        rendered.pieces.push_back(std::move(piece));
    }
    LAP_ASSIGN(auto data, assemble(*state_, rendered, decoder.media()));
    return model::Access::prompt(std::move(data));
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<Prompt> Engine::tokens(std::span<const int32_t> ids) const {
    const int32_t vocab = state_->loaded.config.vocab;
    for (size_t i = 0; i < ids.size(); ++i)
        if (ids[i] < 0 || ids[i] >= vocab)
            return Error{Errc::invalid_argument,
                         "token id " + std::to_string(ids[i]) + " (number " + std::to_string(i) +
                             ") is outside the vocabulary of " + std::to_string(vocab),
                         "ids go from 0 to " + std::to_string(vocab - 1)};
    auto data = std::make_shared<model::PromptData>();
    data->ids.assign(ids.begin(), ids.end());
    return model::Access::prompt(std::move(data));
}

}  // namespace lapidary
