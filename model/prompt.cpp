// From conversations, parts and ids to prompts: the chat template, the tokenizer and the media room meet here.
#include <algorithm>
#include <new>

#include "base/try.h"
#include "base/utf8.h"
#include "lapidary/tools.h"
#include "model/engine_state.h"
#include "model/media/media_bytes.h"
#include "model/prompt_media.h"
#include "model/text/chat_template.h"
#include "model/text/prompt_tokens.h"
#include "model/text/reply_parser.h"

namespace lapidary {

Prompt::Prompt(std::shared_ptr<const model::PromptData> data) : data_(std::move(data)) {}
const std::vector<int32_t>& Prompt::ids() const { return data_->ids; }
const std::string& Prompt::text() const { return data_->text; }
bool Prompt::starts_in_thought() const { return data_->starts_in_thought; }

namespace {

// Tokenises a rendered prompt and puts the decoded media into their places.
Result<std::shared_ptr<model::PromptData>> assemble(const model::EngineState& state, const model::RenderedPrompt& rendered,
                                               const std::vector<model::MediaMemory::Decoded>& media) {
    LAP_ASSIGN(const model::Tokenizer* tokenizer, tokenizer_of(state));
    std::vector<std::vector<model::SoftBlock>> blocks;
    for (const auto& medium : media) {
        blocks.emplace_back();
        for (const model::MediaBlock& block : *medium) blocks.back().push_back({block.text_before, block.soft_tokens});
    }
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
                               (*media[static_cast<size_t>(run.media_index)])[static_cast<size_t>(run.block_index)].rows});
    return data;
}

size_t count_media(std::span<const Part> parts) {
    return static_cast<size_t>(std::count_if(parts.begin(), parts.end(), [](const Part& p) { return p.kind != Part::Kind::text; }));
}

}  // namespace

// ---- before a model is there -----------------------------------------------------------------------

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

Result<Prompt> Engine::render(const Conversation& conversation, const ProgressSink& progress) const try {
    LAP_TRY(tokenizer_of(*state_));
    size_t media = 0;
    for (const Message& m : conversation.messages) media += count_media(m.parts);
    model::MediaDecoder decoder(*state_, media, progress);
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

Result<Prompt> Engine::raw(std::span<const Part> parts, bool special, const ProgressSink& progress) const try {
    LAP_TRY(tokenizer_of(*state_));
    model::RenderedPrompt rendered;
    model::MediaDecoder decoder(*state_, count_media(parts), progress);
    for (const Part& p : parts) {
        model::RenderedPiece piece{p.kind, p.text_value, special};
        if (p.kind == Part::Kind::text) {
            LAP_TRY(check_text(p.text_value, "a text of the prompt"));
        } else {
            piece.text = p.kind == Part::Kind::image ? "<|image|>" : p.kind == Part::Kind::audio ? "<|audio|>" : "<|video|>";
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
