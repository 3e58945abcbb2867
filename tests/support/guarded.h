// A buffer that ends exactly at a page which may not be touched, so that reading or writing one byte past
// its end stops the test. The size decides the alignment: an odd size gives an odd address.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

namespace lapidary::test {

template <class T>
class Guarded {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    // `count` values, zero at first; their end is the end of the mapping.
    explicit Guarded(int64_t count) : count_(count) {
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t bytes = static_cast<size_t>(count) * sizeof(T);
        mapped_bytes_ = (bytes + page - 1) / page * page + page;
        void* mapping = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapping == MAP_FAILED) throw std::bad_alloc();
        mapping_ = static_cast<uint8_t*>(mapping);
        if (mprotect(mapping_ + mapped_bytes_ - page, page, PROT_NONE) != 0) throw std::bad_alloc();
        data_ = reinterpret_cast<T*>(mapping_ + mapped_bytes_ - page - bytes);
    }
    ~Guarded() { munmap(mapping_, mapped_bytes_); }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    T* data() const { return data_; }
    int64_t size() const { return count_; }
    T& operator[](int64_t i) const { return data_[i]; }
    T* begin() const { return data_; }
    T* end() const { return data_ + count_; }
    bool same_bytes(const Guarded& other) const {
        return count_ == other.count_ && memcmp(data_, other.data_, static_cast<size_t>(count_) * sizeof(T)) == 0;
    }

  private:
    uint8_t* mapping_ = nullptr;
    size_t mapped_bytes_ = 0;
    T* data_ = nullptr;
    int64_t count_ = 0;
};

}  // namespace lapidary::test
