// From the media of a prompt to the rows that stand for them: decoded, sized to their budgets, cut into blocks.
// Private to model/; prompt.cpp puts the blocks among the ids.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lapidary/lapidary.h"
#include "model/engine_state.h"

namespace lapidary::model {

// Soft tokens that stand side by side: a picture, a clip of a recording, a frame of a video.
struct MediaBlock {
    std::string text_before;  // "00:01 " before a frame
    int soft_tokens = 0;
    std::shared_ptr<const MediaRows> rows;
};
using MediaBlocks = std::vector<MediaBlock>;  // of one medium

// Decodes the media of one prompt, and stops when they take more than the context has.
class MediaDecoder {
  public:
    explicit MediaDecoder(EngineState& state) : state_(state), room_(state.info.context) {}

    // Its index in media(). Media of kinds that the model does not take, and those that are not there or damaged, are errors.
    Result<int> decode(const Part& part);
    const std::vector<MediaBlocks>& media() const { return media_; }

  private:
    Result<void> check_room(Part::Kind kind, int64_t tokens) const;

    EngineState& state_;
    int64_t room_;  // tokens
    std::vector<MediaBlocks> media_;
};

}  // namespace lapidary::model
