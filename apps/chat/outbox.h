// What waits for the next message of a chat: media and texts of files, put in front of and behind what is typed.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lapidary/lapidary.h"

namespace lapidary::cli {

class Outbox {
  public:
    // An error where the file is missing or of another kind; the frames are for a video, whose sound is another part.
    Result<void> add_medium(Part::Kind kind, const std::string& file, const VideoFrames& frames = {});
    Result<void> add_text(const std::string& file);
    size_t size() const { return before_.size() + after_.size() + texts_.size(); }
    const std::vector<std::string>& names() const { return names_; }
    Needs needs() const;  // what the model must take for them
    void clear() { *this = {}; }
    // Pictures and videos, the texts of files, what was typed, recordings: as `run` has them. The box is empty then.
    Message take(const std::string& typed);

  private:
    std::vector<Part> before_, after_;
    std::vector<std::string> texts_, names_;
};

}  // namespace lapidary::cli
