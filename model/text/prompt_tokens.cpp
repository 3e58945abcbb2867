// Text between two media blocks is encoded as one stretch. The cuts are exact, because a block begins and
// ends with an added token.
#include "model/text/prompt_tokens.h"

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::model {
namespace {

// The added tokens around and inside a block, by what is shown. Video frames are framed like pictures.
struct BlockTokens {
    std::string_view begin;
    std::string_view soft;
    std::string_view end;
};

BlockTokens block_tokens(PartKind kind) {
    switch (kind) {
        case PartKind::audio: return {"<|audio>", "<|audio|>", "<audio|>"};
        case PartKind::video: return {"<|image>", "<|video|>", "<image|>"};
        case PartKind::image:
        case PartKind::text: break;
    }
    return {"<|image>", "<|image|>", "<image|>"};
}

class PromptBuilder {
  public:
    explicit PromptBuilder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

    void text(std::string_view text, bool parse_special) { spans_.push_back({text, parse_special}); }

    Result<void> block(const RenderedPiece& piece, int block_index, const SoftBlock& block) {
        const BlockTokens names = block_tokens(piece.kind);
        LAP_ASSIGN(const int32_t begin, tokenizer_.require_special(names.begin));
        LAP_ASSIGN(const int32_t soft, tokenizer_.require_special(names.soft));
        LAP_ASSIGN(const int32_t end, tokenizer_.require_special(names.end));
        text(block.text_before, false);
        LAP_TRY(flush());
        std::vector<int32_t>& ids = tokens_.ids;
        ids.push_back(begin);
        tokens_.runs.push_back({static_cast<int64_t>(ids.size()), block.soft_tokens, piece.kind,
                                piece.media_index, block_index});
        ids.insert(ids.end(), static_cast<size_t>(block.soft_tokens), soft);
        ids.push_back(end);
        return {};
    }

    Result<PromptTokens> finish() {
        LAP_TRY(flush());
        return std::move(tokens_);
    }

  private:
    Result<void> flush() {
        LAP_ASSIGN(const std::vector<int32_t> ids, tokenizer_.encode_spans(spans_));
        tokens_.ids.insert(tokens_.ids.end(), ids.begin(), ids.end());
        spans_.clear();
        return {};
    }

    const Tokenizer& tokenizer_;
    std::vector<TextSpan> spans_;
    PromptTokens tokens_;
};

}  // namespace

Result<PromptTokens> tokenize_prompt(const Tokenizer& tokenizer, const RenderedPrompt& prompt,
                                     std::span<const std::vector<SoftBlock>> blocks) {
    constexpr int kMostSoftTokens = 1 << 20;  // far above any context; bounds what a wrong number allocates
    PromptBuilder builder(tokenizer);
    for (const RenderedPiece& piece : prompt.pieces) {
        if (piece.kind == PartKind::text) {
            builder.text(piece.text, piece.parse_special);
            continue;
        }
        const int media = piece.media_index;
        if (media < 0 || media >= static_cast<int>(blocks.size()) || blocks[media].empty())
            return Error{Errc::invalid_argument,
                         concat("prompt: media ", media, " has no soft tokens (", blocks.size(), " media were given)"),
                         "give the blocks of every medium that the messages name"};
        for (size_t i = 0; i < blocks[media].size(); ++i) {
            const SoftBlock& block = blocks[media][i];
            if (block.soft_tokens < 1 || block.soft_tokens > kMostSoftTokens)
                return Error{Errc::invalid_argument,
                             concat("prompt: block ", i, " of media ", media, " has ", block.soft_tokens, " soft tokens"),
                             concat("a block has 1 to ", kMostSoftTokens)};
            LAP_TRY(builder.block(piece, static_cast<int>(i), block));
        }
    }
    return builder.finish();
}

}  // namespace lapidary::model
