// Drawing of the progress line; see progress.h.
#include "apps/common/progress.h"

#include <fmt/format.h>

#include "apps/common/numbers.h"

namespace lapidary::cli {

ProgressSink Progress::sink() {
    return [this](std::string_view stage, uint64_t done, uint64_t total) {
        show(stage, done, total);
        return !interrupt_.requested();
    };
}

void Progress::show(std::string_view stage, uint64_t done, uint64_t total) {
    using namespace std::chrono_literals;
    const auto now = std::chrono::steady_clock::now();
    // Work that ends within the first moments shows nothing; then ten updates a second.
    if (!console_.stderr_is_terminal() || now - shown_ < (visible_ ? 100ms : 300ms)) return;
    shown_ = now;
    visible_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double share = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
    const double left = share > 0.01 ? seconds * (1 - share) / share : 0;
    console_.aside(fmt::format("\r\x1b[K{} {} / {} · {:.2f} GB/s · {:.0f} s left", stage, human_bytes(done),
                               human_bytes(total), static_cast<double>(done) / seconds / 1e9, left));
}

void Progress::clear() {
    if (visible_) console_.aside("\r\x1b[K");
    visible_ = false;
}

}  // namespace lapidary::cli
