// Drawing of the progress line; see progress.h.
#include "apps/common/progress.h"

#include <fmt/format.h>

#include <optional>

#include "apps/common/numbers.h"

namespace lapidary::cli {
namespace {

std::string amount(uint64_t done, uint64_t total, double seconds, Progress::Unit unit) {
    if (total == 0) return "";  // it has only begun
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    switch (unit) {
        case Progress::Unit::bytes:
            return fmt::format(" {} / {} · {:.2f} GB/s", human_bytes(done), human_bytes(total), rate / 1e9);
        case Progress::Unit::tokens:
            return fmt::format(" {} / {} tokens · {:.1f} tokens/s", done, total, rate);
        case Progress::Unit::work: break;
    }
    return "";
}

// What is left of work that has taken `seconds` for a share of it (0 to 1); unset as long as that is a guess.
std::optional<double> seconds_left(double seconds, double share) {
    constexpr double kEnoughShare = 0.02, kEnoughSeconds = 0.5;
    if (share < kEnoughShare || seconds < kEnoughSeconds || share > 1) return {};
    return seconds * (1 - share) / share;
}

}  // namespace

ProgressSink Progress::sink(Unit unit) {
    return [this, unit](std::string_view stage, uint64_t done, uint64_t total) {
        show(stage, done, total, unit);
        return !interrupt_.requested();
    };
}

void Progress::show(std::string_view stage, uint64_t done, uint64_t total, Unit unit) {
    using namespace std::chrono_literals;
    const auto now = Clock::now();
    const bool other = stage_ != stage;
    if (other && !stage_.empty() && (unit != Unit::work || done == 0)) start_ = now;
    stage_ = stage;
    // Work that ends within the first moments shows nothing; then ten updates a second, and every new stage.
    const bool due = visible_ ? other || now - shown_ >= 100ms : now - shown_ >= 300ms;
    if (!console_.draws() || !due) return;
    shown_ = now;
    visible_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double share = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
    const std::optional<double> left = seconds_left(seconds, share);
    console_.draw(fmt::format("{}{}{}", stage, amount(done, total, seconds, unit),
                              left ? fmt::format(" · {:.0f} s left", *left) : ""));
}

void Progress::clear() {
    console_.clear();
    visible_ = false;
}

}  // namespace lapidary::cli
