// Stop strings over streamed text: gives out what surely comes before a stop string and holds back what
// could be the beginning of one. The result does not depend on how the text was cut into pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

class StopMatcher {
  public:
    // Stop strings must be non-empty UTF-8.
    static Result<StopMatcher> create(std::vector<std::string> stops);

    struct Step {
        std::string text;      // to show
        bool stopped = false;  // a stop string is complete; it and all after it is dropped
    };

    // Of several stop strings the one that is complete first counts, of those the longest. After a stop,
    // feed gives nothing more.
    Step feed(std::string_view text);
    bool stopped() const { return stopped_; }
    // Whether a stop string would be complete with this text behind what was fed.
    bool completes(std::string_view text) const;
    // At the end of the text without a stop: what was held back.
    std::string finish();

  private:
    explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}
    size_t held_bytes() const;  // length of the longest end of held_ that begins a stop string

    std::vector<std::string> stops_;
    std::string held_;
    bool stopped_ = false;
};

}  // namespace lapidary::model
