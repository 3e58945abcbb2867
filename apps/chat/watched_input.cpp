// See watched_input.h.
#include "apps/chat/watched_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace lapidary::cli {

WatchedInput::Event WatchedInput::next(char& byte) {
    constexpr size_t kAhead = 65536;
    while (true) {
        if (interrupt_.requested()) return Event::stopped;
        if (interrupt_.take_resized()) return Event::resized;
        if (at_ < bytes_.size()) {
            byte = bytes_[at_++];
            return Event::byte;
        }
        pollfd sources[] = {{STDIN_FILENO, POLLIN, 0}, {interrupt_.wake_fd(), POLLIN, 0}};
        if (poll(sources, 2, -1) < 0 && errno != EINTR) return Event::end;
        if ((sources[1].revents & POLLIN) != 0) {
            uint64_t ignored = 0;
            [[maybe_unused]] const auto n = read(interrupt_.wake_fd(), &ignored, sizeof ignored);
            continue;
        }
        if (sources[0].revents == 0) continue;
        bytes_.resize(kAhead);
        const ssize_t count = read(STDIN_FILENO, bytes_.data(), bytes_.size());
        bytes_.resize(count > 0 ? static_cast<size_t>(count) : 0);
        at_ = 0;
        if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) return Event::end;
    }
}

}  // namespace lapidary::cli
