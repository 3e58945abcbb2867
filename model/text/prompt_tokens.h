// A rendered prompt and the sizes of its media to token ids, with the places where media rows go. The
// engine calls it after the media room has said how many soft tokens each picture or recording takes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lapidary/result.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace lapidary::model {

// One block of soft tokens: a picture, a recording, or a frame of a video. `text_before` is ordinary text
// ("00:00 " before the first frame of a video, " 00:01 " before the next); it merges with the text before it,
// as in the reference.
struct SoftBlock {
    std::string text_before;
    int soft_tokens = 0;
};

// Where a block's soft tokens lie among the ids.
struct SoftRun {
    int64_t position = 0;  // of the first soft token
    int soft_tokens = 0;
    PartKind kind = PartKind::image;
    int media_index = 0;
    int block_index = 0;
};

struct PromptTokens {
    std::vector<int32_t> ids;  // soft tokens carry their placeholder id
    std::vector<SoftRun> runs;
};

// `blocks[i]` are the blocks of media i: one for an image or audio, one per frame for a video.
Result<PromptTokens> tokenize_prompt(const Tokenizer& tokenizer, const RenderedPrompt& prompt,
                                     std::span<const std::vector<SoftBlock>> blocks);

}  // namespace lapidary::model
