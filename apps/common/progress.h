// One line of progress on stderr while a model loads, a prompt is computed or a file is written; only on a terminal
// that can draw over a line. The console takes it away before anything else is written.
#pragma once

#include <chrono>
#include <string>

#include "apps/common/interrupt.h"
#include "apps/common/output.h"
#include "lapidary/lapidary.h"

namespace lapidary::cli {

class Progress {
  public:
    Progress(const Console& console, const Interrupt& interrupt) : console_(console), interrupt_(interrupt) {}
    ~Progress() { clear(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // A sink for the library; valid while this object lives. It answers "give up" after Ctrl-C.
    // work: stages share one count, which says nothing to people; only what is left does.
    enum class Unit { bytes, tokens, work };
    ProgressSink sink(Unit unit = Unit::bytes);
    void clear();

  private:
    using Clock = std::chrono::steady_clock;
    void show(std::string_view stage, uint64_t done, uint64_t total, Unit unit);

    const Console& console_;
    const Interrupt& interrupt_;
    Clock::time_point start_ = Clock::now(), shown_ = start_;
    std::string stage_;  // rates count from where it began
    bool visible_ = false;
};

}  // namespace lapidary::cli
