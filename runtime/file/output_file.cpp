// POSIX writing with fsync and rename; see output_file.h.
#include "runtime/file/output_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::runtime {
namespace {

namespace fs = std::filesystem;

constexpr size_t kGatherBytes = 1 << 20;
constexpr size_t kMaxWriteBytes = size_t{1} << 30;  // one write(2) may not take more than 2 GiB

Error failed(const char* what, const fs::path& path, int reason) {
    return {Errc::io_error,
            concat("cannot ", what, " ", in_quotes(path.string()), ": ", std::strerror(reason)),
            reason == ENOSPC ? "free some space, or write to another disk"
                             : "check the folder and its permissions"};
}

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// Of its own for every writer, also of the same target.
fs::path temporary_name(const fs::path& target) {
    static std::atomic<uint64_t> count = 0;
    return folder_of(target) / concat(".", target.filename().string(), ".", ::getpid(), ".", ++count, ".part");
}

// "out/" names the same as "out".
fs::path without_slash(const fs::path& path) {
    return path.has_filename() || !path.has_parent_path() ? path : path.parent_path();
}

// A rename is durable once its folder is synced. Some file systems cannot sync folders; the files are safe
// then.
void sync_folder(const fs::path& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
}

}  // namespace

Result<void> require_room(const fs::path& target, uint64_t bytes) {
    const fs::path folder = folder_of(without_slash(target));
    struct statvfs room = {};
    // Unknown (or of no size, as some network file systems say): writing will tell.
    if (::statvfs(folder.c_str(), &room) != 0 || room.f_blocks == 0) return {};
    const uint64_t free = uint64_t{room.f_bavail} * room.f_frsize;
    if (bytes <= free) return {};
    return Error{Errc::io_error,
                 concat(in_quotes(target.string()), " will have ", bytes, " bytes, but the file system of ",
                        in_quotes(folder.string()), " has only ", free, " free"),
                 "free some space, or write to another disk"};
}

Result<OutputFile> OutputFile::create(const fs::path& target) {
    std::error_code ignored;
    if (target.filename().empty() || fs::is_directory(target, ignored))
        return Error{Errc::io_error, concat(in_quotes(target.string()), " is a folder"), "name a file in it"};
    // Not by a rename: a device or pipe of that name would be replaced.
    if (fs::exists(target, ignored) && !fs::is_regular_file(target, ignored))
        return Error{Errc::io_error, concat(in_quotes(target.string()), " is not a regular file"),
                     "name a new file"};
    OutputFile file;
    file.target_ = target;
    const fs::path temporary = temporary_name(target);
    file.fd_ = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file.fd_ < 0) return failed("create", target, errno);
    file.temporary_ = temporary;
    file.pending_ = std::make_unique<std::byte[]>(kGatherBytes);
    return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)),
      written_(other.written_),
      pending_(std::move(other.pending_)),
      pending_bytes_(std::exchange(other.pending_bytes_, 0)) {}

OutputFile::~OutputFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> OutputFile::write(const void* bytes, size_t count) {
    if (count > kGatherBytes - pending_bytes_) LAP_TRY(flush());
    if (count > kGatherBytes) {
        LAP_TRY(write_at(written_, bytes, count));
    } else if (count > 0) {
        std::memcpy(pending_.get() + pending_bytes_, bytes, count);
        pending_bytes_ += count;
    }
    written_ += count;
    return {};
}

Result<void> OutputFile::flush() {
    const size_t count = std::exchange(pending_bytes_, 0);
    return write_at(written_ - count, pending_.get(), count);
}

Result<void> OutputFile::rewrite(uint64_t offset, const void* bytes, size_t count) {
    if (offset > written_ || count > written_ - offset)
        return Error{Errc::internal, concat("bytes ", offset, " to ", offset + count, " of ",
                                            in_quotes(target_.string()), " were not written yet")};
    LAP_TRY(flush());
    return write_at(offset, bytes, count);
}

Result<void> OutputFile::write_at(uint64_t offset, const void* bytes, size_t count) {
    const auto* from = static_cast<const std::byte*>(bytes);
    while (count > 0) {
        const ssize_t done = ::pwrite(fd_, from, std::min(count, kMaxWriteBytes), static_cast<off_t>(offset));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return failed("write to", target_, errno);
        from += done;
        offset += static_cast<uint64_t>(done);
        count -= static_cast<size_t>(done);
    }
    return {};
}

Result<void> OutputFile::commit() {
    LAP_TRY(flush());
    if (::fsync(fd_) != 0) return failed("write to", target_, errno);
    if (::close(std::exchange(fd_, -1)) != 0) return failed("write to", target_, errno);
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) return failed("create", target_, errno);
    temporary_.clear();
    sync_folder(folder_of(target_));
    return {};
}

Result<OutputFolder> OutputFolder::create(const fs::path& target) {
    OutputFolder folder;
    folder.target_ = without_slash(target);
    std::error_code ignored;
    const bool taken = fs::exists(fs::symlink_status(folder.target_, ignored)) &&
                       !(fs::is_directory(folder.target_, ignored) && fs::is_empty(folder.target_, ignored));
    if (taken)
        return Error{Errc::io_error, concat(in_quotes(target.string()), " exists and is not an empty folder"),
                     "name a new folder"};
    const fs::path temporary = temporary_name(folder.target_);
    std::error_code reason;
    fs::create_directory(temporary, reason);
    if (reason) return failed("create", target, reason.value());
    folder.temporary_ = temporary;
    return folder;
}

OutputFolder::OutputFolder(OutputFolder&& other) noexcept
    : target_(std::move(other.target_)), temporary_(std::exchange(other.temporary_, {})) {}

OutputFolder::~OutputFolder() {
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

Result<void> OutputFolder::commit() {
    sync_folder(temporary_);
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) return failed("create", target_, errno);
    temporary_.clear();
    sync_folder(folder_of(target_));
    return {};
}

}  // namespace lapidary::runtime
