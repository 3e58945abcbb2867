// Bytes of standard input, waited for together with signals and changes of the terminal's size: whoever reads may be stopped.
#pragma once

#include <string>

#include "apps/common/interrupt.h"

namespace lapidary::cli {

class WatchedInput {
  public:
    explicit WatchedInput(Interrupt& interrupt) : interrupt_(interrupt) {}

    enum class Event { byte, end, stopped, resized };  // stopped: by a signal
    Event next(char& byte);
    // Whether a byte lies here already.
    bool holds_more() const { return at_ < bytes_.size(); }

  private:
    Interrupt& interrupt_;
    std::string bytes_;  // that were read ahead
    size_t at_ = 0;
};

}  // namespace lapidary::cli
