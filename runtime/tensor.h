// Buffers and views: where numbers lie, not what they mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/formats.h"

namespace lapidary::runtime {

using kernels::Format;
using kernels::KvFormat;

// Memory that a device can compute on. Shared ownership: views keep nothing alive, whoever holds the Buffer
// does.
struct BufferData {
    size_t bytes = 0;
    virtual ~BufferData() = default;
    // The bytes will not be read again: a mapped file gives its pages back, private memory loses its content.
    virtual void discard(size_t, size_t) {}
    // Whether bytes that were discarded are there again when they are read: of a file.
    virtual bool refills() const { return false; }
    // They will be read next: a mapped file begins to fetch them.
    virtual void will_need(size_t, size_t) {}

  protected:
    friend struct HostAccess;    // runtime/memory/host_access.h
    std::byte* host_ = nullptr;  // its address for the CPU; stays null where the CPU cannot see it
};
using Buffer = std::shared_ptr<BufferData>;

// How a matrix lies: row after row as in its file, or in panels of 16 rows (kernels/panels.h).
enum class Layout : uint8_t { rows, panels };

// A matrix [rows][cols] inside a buffer. Rows lie row_bytes apart (on average, in panels). Non-owning.
struct TensorView {
    BufferData* buffer = nullptr;
    size_t offset = 0;
    Format format = Format::f32;
    int64_t rows = 0, cols = 0;
    int64_t row_bytes = 0;
    Layout layout = Layout::rows;

    explicit operator bool() const { return buffer != nullptr; }
    TensorView row_range(int64_t begin, int64_t end) const {
        TensorView v = *this;
        v.offset += static_cast<size_t>(begin * row_bytes);
        v.rows = end - begin;
        return v;
    }
    // The first n columns of every row; n a multiple of the format's block.
    TensorView first_cols(int64_t n) const {
        TensorView v = *this;
        v.cols = n;
        return v;
    }
    int64_t bytes() const { return rows * kernels::row_bytes(format, cols); }
};

inline TensorView view(const Buffer& b, Format f, int64_t rows, int64_t cols, size_t offset = 0) {
    return {b.get(), offset, f, rows, cols, kernels::row_bytes(f, cols)};
}

}  // namespace lapidary::runtime
