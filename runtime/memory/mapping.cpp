// Maps a file with mmap(2); see mapping.h.
#include "runtime/memory/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/describe.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime {
namespace {

Error cannot_open(const std::filesystem::path& path, int reason) {
    if (reason == ENOENT || reason == ENOTDIR)
        return {Errc::model_not_found, concat("there is no file ", in_quotes(path.string())),
                "check the path of the model"};
    return {Errc::model_not_found,
            concat("cannot open ", in_quotes(path.string()), ": ", std::strerror(reason)),
            "check the permissions of the file and of its folder"};
}

}  // namespace

Result<std::shared_ptr<Mapping>> Mapping::open(const std::filesystem::path& path) {
    // O_NONBLOCK: a named pipe must not block before it is seen to be no regular file.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return cannot_open(path, errno);
    std::shared_ptr<Mapping> mapping(new Mapping(file));
    struct stat info = {};
    if (::fstat(mapping->file_, &info) != 0) return cannot_open(path, errno);
    if (S_ISDIR(info.st_mode))
        return Error{Errc::bad_model_file, concat(in_quotes(path.string()), " is a folder, not a file")};
    if (!S_ISREG(info.st_mode))
        return Error{Errc::bad_model_file, concat(in_quotes(path.string()), " is not a regular file")};
    if (info.st_size == 0)
        return Error{Errc::bad_model_file, concat(in_quotes(path.string()), " is empty"),
                     "the download may have failed; fetch the file again"};

    const auto size = static_cast<size_t>(info.st_size);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, mapping->file_, 0);
    if (address == MAP_FAILED)
        return Error{Errc::out_of_memory, concat("cannot map ", in_quotes(path.string()), " of ", size,
                                                 " bytes into memory: ", std::strerror(errno))};
    mapping->host_ = static_cast<std::byte*>(address);
    mapping->bytes = size;
    return mapping;
}

void Mapping::discard(size_t offset, size_t count) {
    give_back_pages(host_ + offset, count);
    // The system would keep them as well, and push out what other programs read.
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t begin = (offset + page - 1) / page * page, end = (offset + count) / page * page;
    if (begin < end) ::posix_fadvise(file_, static_cast<off_t>(begin), static_cast<off_t>(end - begin), POSIX_FADV_DONTNEED);
}

void Mapping::will_need(size_t offset, size_t count) {
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t begin = reinterpret_cast<uintptr_t>(host_ + offset) / page * page;
    ::madvise(reinterpret_cast<void*>(begin), reinterpret_cast<uintptr_t>(host_ + offset + count) - begin,
              MADV_WILLNEED);
}

void read_alone(const std::byte* at, size_t bytes) {
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t begin = reinterpret_cast<uintptr_t>(at) / page * page, end = reinterpret_cast<uintptr_t>(at) + bytes;
    if (bytes == 0) return;
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_RANDOM);
    for (uintptr_t p = begin; p < end; p += page) (void)*reinterpret_cast<const volatile std::byte*>(p);
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_NORMAL);
}

Mapping::~Mapping() {
    if (host_) ::munmap(host_, bytes);
    if (file_ >= 0) ::close(file_);
}

}  // namespace lapidary::runtime
