// Drawing of the progress line; see progress.h.
#include "apps/common/progress.h"

#include <fmt/format.h>

#include "apps/common/numbers.h"

namespace lapidary::cli {

ProgressSink Progress::sink(Unit unit) {
    return [this, unit](std::string_view stage, uint64_t done, uint64_t total) {
        show(stage, done, total, unit);
        return !interrupt_.requested();
    };
}

void Progress::show(std::string_view stage, uint64_t done, uint64_t total, Unit unit) {
    using namespace std::chrono_literals;
    const auto now = std::chrono::steady_clock::now();
    if (!stage_.empty() && stage_ != stage) start_ = now;
    stage_ = stage;
    // Work that ends within the first moments shows nothing; then ten updates a second.
    if (!console_.stderr_is_terminal() || now - shown_ < (visible_ ? 100ms : 300ms)) return;
    shown_ = now;
    visible_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double share = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
    const double left = share > 0.01 ? seconds * (1 - share) / share : 0;
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    const std::string amount =
        unit == Unit::bytes
            ? fmt::format("{} / {} · {:.2f} GB/s", human_bytes(done), human_bytes(total), rate / 1e9)
            : fmt::format("{} / {} tokens · {:.1f} tokens/s", done, total, rate);
    console_.aside(fmt::format("\r\x1b[K{} {} · {:.0f} s left", stage, amount, left));
}

void Progress::clear() {
    if (visible_) console_.aside("\r\x1b[K");
    visible_ = false;
}

}  // namespace lapidary::cli
