// Anonymous mappings as buffers.
#include "runtime/memory/host_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

namespace lapidary::runtime {
namespace {

struct HostBuffer final : BufferData {
    HostBuffer() = default;
    HostBuffer(void* at, size_t size) {
        host_ = static_cast<std::byte*>(at);
        bytes = size;
    }
    HostBuffer(const HostBuffer&) = delete;
    HostBuffer& operator=(const HostBuffer&) = delete;
    ~HostBuffer() override {
        if (host_) munmap(host_, bytes);
    }
    void discard(size_t offset, size_t count) override { give_back_pages(host_ + offset, count); }
};

}  // namespace

void give_back_pages(std::byte* at, size_t bytes) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(at) + page - 1) / page * page;
    const uintptr_t end = (reinterpret_cast<uintptr_t>(at) + bytes) / page * page;
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

Result<Buffer> allocate_host(size_t bytes) {
    if (bytes == 0) return Buffer(std::make_shared<HostBuffer>());
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return Error{Errc::out_of_memory, "the system refused " + std::to_string((bytes + 1023) >> 10) + " KiB of memory",
                     "close other programs, or use a smaller context"};
    // Weights and caches are read in order at the speed of memory: with pages of 4 KiB the walks of the page table
    // take a part of that. Where the system has none to give, small pages serve.
    constexpr size_t kHugePage = 2 << 20;
    if (bytes >= kHugePage) madvise(p, bytes, MADV_HUGEPAGE);
    return Buffer(std::make_shared<HostBuffer>(p, bytes));
}

}  // namespace lapidary::runtime
