// One tensor at a time from a checkpoint to a packed file: rows to panels, and to another format where asked,
// with the error that this made. Works in slabs of rows on all threads of a pool, and gives the source's
// pages back behind itself, so that a tensor of any size passes through a few dozen megabytes.
#pragma once

#include <functional>
#include <vector>

#include "kernels/kernels.h"
#include "lapidary/result.h"
#include "model/load/tensor_source.h"
#include "runtime/cpu/thread_pool.h"

namespace lapidary::model {

struct TensorPlan {
    runtime::Format format = runtime::Format::f32;
    runtime::Layout layout = runtime::Layout::rows;
};

struct PackError {    // of a tensor; all 0 when its values are kept
    double rms = 0;   // of the source's values
    double rmse = 0;  // root of the mean squared difference
    double max = 0;   // largest difference
};

class TensorPacker {
  public:
    using Sink = std::function<Result<void>(const void* bytes, size_t count)>;
    using Progress = std::function<bool(uint64_t source_bytes)>;  // since the last call; false stops

    TensorPacker(const kernels::KernelTable& table, runtime::ThreadPool& pool);

    // bad_model_file when a value is not finite or too large for the format.
    Result<PackError> pack(const SourceTensor& tensor, const TensorPlan& plan, const Sink& sink,
                           const Progress& progress);

  private:
    struct Job;
    struct Sums;
    struct Scratch {
        std::vector<std::byte> source, blocks;  // 16 rows
        std::vector<float> x, y;                // one row
    };
    Result<void> copy(const SourceTensor& tensor, const Sink& sink, const Progress& progress) const;
    void panel(const Job& job, int64_t index, std::byte* out, Scratch& scratch, Sums& sums) const;
    const std::byte* source_rows(const Job& job, int64_t first, int64_t rows, Scratch& scratch) const;
    void convert(const Job& job, const std::byte* from, int64_t rows, Scratch& scratch, Sums& sums) const;

    const kernels::KernelTable& table_;
    runtime::ThreadPool& pool_;
    std::vector<Scratch> scratch_;  // per thread
    std::vector<std::byte> slab_;
};

}  // namespace lapidary::model
