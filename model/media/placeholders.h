// How many soft tokens a picture or recording takes, from its size alone: what a caller may ask before
// decoding anything. frames.cpp counts its rows with it. The ids of a prompt are made in
// model/text/prompt_tokens.h.
#pragma once

#include <cstdint>

#include "base/describe.h"
#include "base/try.h"
#include "lapidary/result.h"
#include "model/media/resize.h"

namespace lapidary::model {

// The most that one clip of a recording takes: 30 s in the published model, which was made for no more. Longer recordings
// become several clips.
inline constexpr size_t kClipTokens = 750;

// Of the *upright* picture; EXIF orientation may have swapped its sides.
inline Result<size_t> image_soft_tokens(ImageSize source, uint32_t budget_tokens, PatchGeometry geometry = {}) {
    LAP_ASSIGN(const ImageSize target, target_size(source, budget_tokens, geometry));
    return size_t{target.width / geometry.side()} * (target.height / geometry.side());
}

// ceil(samples / samples_per_token): a partial last frame counts.
inline Result<size_t> audio_soft_tokens(uint64_t samples, uint32_t samples_per_token) {
    if (samples == 0 || samples_per_token == 0)
        return Error{Errc::media_unsupported,
                     concat("a recording of ", samples, " samples at ", samples_per_token, " samples per token has no frames"),
                     "pass a recording that is not empty"};
    return static_cast<size_t>((samples - 1) / samples_per_token + 1);
}

}  // namespace lapidary::model
