// One line of progress on stderr while a model loads or a file is written; only on a terminal.
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
    enum class Unit { bytes, tokens };
    ProgressSink sink(Unit unit = Unit::bytes);
    void clear();

  private:
    void show(std::string_view stage, uint64_t done, uint64_t total, Unit unit);

    const Console& console_;
    const Interrupt& interrupt_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), shown_ = start_;
    std::string stage_;  // rates count from where it began
    bool visible_ = false;
};

}  // namespace lapidary::cli
