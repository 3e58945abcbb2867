// How many soft tokens a picture or recording takes, from its size alone, and the ids that hold its place in
// the prompt. Used by the prompt builder before (or without) decoding pixels, and by frames.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lapidary/result.h"
#include "model/media/resize.h"

namespace lapidary::model {

// Of the *upright* picture; EXIF orientation may have swapped its sides.
inline Result<size_t> image_soft_tokens(ImageSize source, uint32_t budget_tokens,
                                        PatchGeometry geometry = {}) {
    LAP_ASSIGN(const ImageSize target, target_size(source, budget_tokens, geometry));
    return size_t{target.width / geometry.side()} * (target.height / geometry.side());
}

// ceil(samples / samples_per_token): a partial last frame counts.
inline Result<size_t> audio_soft_tokens(uint64_t samples, uint32_t samples_per_token) {
    if (samples == 0 || samples_per_token == 0) {
        return Error{Errc::media_unsupported,
                     "a recording of " + std::to_string(samples) + " samples at " +
                         std::to_string(samples_per_token) + " samples per token has no frames",
                     "pass a recording that is not empty"};
    }
    return static_cast<size_t>((samples - 1) / samples_per_token + 1);
}

// Ids around and in place of one medium: begin, soft x count, end. The same for pictures, recordings and
// frames.
struct PlaceholderIds {
    int32_t begin = 0;  // <|image>  <|audio>
    int32_t soft = 0;   // <|image|> <|audio|>  <|video|>
    int32_t end = 0;    // <image|>  <audio|>
};

// Appends the expansion to `ids` and returns the index of its first soft token.
inline size_t append_placeholder(std::vector<int32_t>& ids, PlaceholderIds placeholder, size_t soft_tokens) {
    ids.push_back(placeholder.begin);
    const size_t first_soft = ids.size();
    ids.insert(ids.end(), soft_tokens, placeholder.soft);
    ids.push_back(placeholder.end);
    return first_soft;
}

}  // namespace lapidary::model
