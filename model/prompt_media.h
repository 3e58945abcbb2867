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

// Decodes the media of one prompt that the engine does not have in memory, and stops when they take more than the context has.
class MediaDecoder {
  public:
    // `total`: media of the prompt, of which the sink hears.
    MediaDecoder(EngineState& state, size_t total, const ProgressSink& progress)
        : state_(state), room_(state.info.context), total_(total), progress_(progress) {}

    // Its index in media(). Media of kinds that the model does not take, and those that are not there or damaged, are errors; `cancelled`
    // by the sink.
    Result<int> decode(const Part& part);
    const std::vector<MediaMemory::Decoded>& media() const { return media_; }

  private:
    Result<void> check_room(Part::Kind kind, int64_t tokens) const;
    Result<MediaBlocks> decode_anew(const Part& part) const;
    Result<void> report(uint64_t thousandths) const;  // of the present medium

    EngineState& state_;
    int64_t room_;  // tokens
    size_t total_;
    const ProgressSink& progress_;
    std::vector<MediaMemory::Decoded> media_;
};

}  // namespace lapidary::model
