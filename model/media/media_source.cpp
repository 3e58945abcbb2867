// Files by pread(2), which leaves no position behind; see media_source.h.
#include "model/media/media_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/media_bytes.h"

namespace lapidary::model {

Result<MediaSource> MediaSource::file(const std::filesystem::path& path) {
    MediaSource source;
    source.name_ = path.string();
    LAP_ASSIGN(source.size_, media_file_size(path));
    source.file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const int open_errno = errno;
    if (source.file_ < 0)
        return Error{Errc::io_error, concat(source.name_, ": cannot be opened: ", std::strerror(open_errno)),
                     "check its permissions"};
    return source;
}

MediaSource MediaSource::memory(std::span<const uint8_t> bytes, std::string_view name) {
    MediaSource source;
    source.name_ = name;
    source.size_ = bytes.size();
    source.bytes_ = bytes;
    return source;
}

MediaSource::MediaSource(MediaSource&& other) noexcept
    : name_(std::move(other.name_)), size_(other.size_), file_(std::exchange(other.file_, -1)), bytes_(other.bytes_) {}

MediaSource::~MediaSource() {
    if (file_ >= 0) close(file_);
}

int64_t MediaSource::read_at(uint64_t offset, std::span<uint8_t> target) const {
    const uint64_t count = offset < size_ ? std::min<uint64_t>(target.size(), size_ - offset) : 0;
    if (count == 0) return 0;
    if (file_ < 0) {
        std::memcpy(target.data(), bytes_.data() + offset, count);
        return static_cast<int64_t>(count);
    }
    for (;;) {
        const ssize_t got = pread(file_, target.data(), count, static_cast<off_t>(offset));
        if (got >= 0 || errno != EINTR) return got;
    }
}

Result<std::vector<uint8_t>> MediaSource::head(size_t limit) const {
    std::vector<uint8_t> bytes(std::min<uint64_t>(limit, size_));
    const int64_t got = read_at(0, bytes);
    if (got < 0) return Error{Errc::io_error, name_ + ": cannot be read", "check the disk"};
    bytes.resize(static_cast<size_t>(got));
    return bytes;
}

}  // namespace lapidary::model
