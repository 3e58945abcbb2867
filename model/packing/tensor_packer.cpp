// The unit of work is a panel of 16 rows, also where the result lies in rows; see tensor_packer.h.
#include "model/packing/tensor_packer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/half.h"
#include "model/packing/quantize.h"
#include "runtime/file/lapidary_file.h"
#include "runtime/memory/host_access.h"

namespace lapidary::model {

using kernels::kPanel;
using runtime::Layout;

namespace {

constexpr size_t kSlabBytes = 16 << 20;

size_t position(Format format) { return static_cast<size_t>(format); }

// NaN if there is one: without the sign, the bits of floats order as the values do, NaN last.
float largest_magnitude(const float* x, int64_t count) {
    uint32_t largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = kernels::float_bits(x[i]) & 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    return kernels::bits_float(largest);
}

}  // namespace

// Of the rows of one panel. Panels are summed in order, so threads never change a digit.
struct TensorPacker::Sums {
    double squares = 0, errors = 0;
    float largest = 0, largest_error = 0;

    void add(const float* x, const float* y, int64_t count) {
        constexpr int64_t kLanes = 8;  // sums side by side become vector code
        double square_lanes[kLanes] = {}, error_lanes[kLanes] = {};
        float largest_lanes[kLanes] = {};
        const auto take = [&](int64_t i, int64_t lane) {
            const float off = std::fabs(y[i] - x[i]);
            largest_lanes[lane] = off > largest_lanes[lane] ? off : largest_lanes[lane];
            square_lanes[lane] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
            error_lanes[lane] += static_cast<double>(off) * static_cast<double>(off);
        };
        int64_t i = 0;
        for (; i + kLanes <= count; i += kLanes)
            for (int64_t lane = 0; lane < kLanes; lane++) take(i + lane, lane);
        for (; i < count; i++) take(i, i % kLanes);
        for (int64_t lane = 0; lane < kLanes; lane++) {
            squares += square_lanes[lane];
            errors += error_lanes[lane];
            largest_error = std::max(largest_error, largest_lanes[lane]);
        }
    }
    void add(const Sums& other) {
        squares += other.squares;
        errors += other.errors;
        largest = std::max(largest, other.largest);
        largest_error = std::max(largest_error, other.largest_error);
    }
};

// A tensor as a matrix, and where its rows are and go.
struct TensorPacker::Job {
    const SourceTensor& tensor;
    TensorPlan plan;
    int64_t rows, cols;
    int64_t from_row = 0, from_panel = 0;  // bytes
    int64_t to_row = 0, to_panel = 0;

    Job(const SourceTensor& t, const TensorPlan& p) : tensor(t), plan(p), rows(t.rows()), cols(t.cols()) {
        from_row = kernels::row_bytes(t.format, cols);
        from_panel = t.layout == Layout::panels ? kernels::panel_bytes(t.format, cols) : kPanel * from_row;
        to_row = kernels::row_bytes(p.format, cols);
        to_panel = p.layout == Layout::panels ? kernels::panel_bytes(p.format, cols) : kPanel * to_row;
    }
    int64_t panels() const { return (rows + kPanel - 1) / kPanel; }
    int64_t rows_of(int64_t panel) const { return std::min(kPanel, rows - panel * kPanel); }
    const std::byte* source() const { return host_bytes(*tensor.buffer) + tensor.offset; }
    // Bytes of the panels [begin, end), the last one cut where the result lies in rows.
    static size_t extent(int64_t begin, int64_t end, int64_t panel_bytes, int64_t row_bytes, Layout layout,
                         int64_t rows) {
        if (layout == Layout::panels) return static_cast<size_t>((end - begin) * panel_bytes);
        return static_cast<size_t>((std::min(end * kPanel, rows) - begin * kPanel) * row_bytes);
    }
    size_t from_bytes(int64_t begin, int64_t end) const {
        return extent(begin, end, from_panel, from_row, tensor.layout, rows);
    }
    size_t to_bytes(int64_t begin, int64_t end) const {
        return extent(begin, end, to_panel, to_row, plan.layout, rows);
    }
};

TensorPacker::TensorPacker(const kernels::KernelTable& table, runtime::ThreadPool& pool)
    : table_(table), pool_(pool), scratch_(static_cast<size_t>(pool.size())) {}

Result<void> TensorPacker::copy(const SourceTensor& tensor, const Sink& sink,
                                const Progress& progress) const {
    for (size_t at = 0; at < tensor.bytes; at += kSlabBytes) {
        const auto count = static_cast<size_t>(std::min<uint64_t>(kSlabBytes, tensor.bytes - at));
        LAP_TRY(sink(host_bytes(*tensor.buffer) + tensor.offset + at, count));
        tensor.buffer->discard(tensor.offset + at, count);
        if (!progress(count)) return Error{Errc::cancelled, "packing was stopped"};
    }
    return {};
}

// Rows [first, first + rows) as blocks, one after the other.
const std::byte* TensorPacker::source_rows(const Job& job, int64_t first, int64_t rows,
                                           Scratch& scratch) const {
    if (job.tensor.layout == Layout::rows) return job.source() + first * job.from_row;
    const std::byte* panel = job.source() + first / kPanel * job.from_panel;
    scratch.source.resize(static_cast<size_t>(kPanel * job.from_row));
    for (int64_t row = 0; row < rows; row++)
        table_.unpack_panel_row[position(job.tensor.format)](panel, job.cols, row,
                                                             scratch.source.data() + row * job.from_row);
    return scratch.source.data();
}

// Fills scratch.blocks with `rows` rows in the new format. Values that it cannot hold are only noted.
void TensorPacker::convert(const Job& job, const std::byte* from, int64_t rows, Scratch& scratch,
                           Sums& sums) const {
    const float limit = job.plan.format == Format::f32 || job.plan.format == Format::bf16
                            ? std::numeric_limits<float>::max()
                            : kLargestQuantised;
    scratch.x.resize(static_cast<size_t>(job.cols));
    scratch.y.resize(static_cast<size_t>(job.cols));
    scratch.blocks.resize(static_cast<size_t>(kPanel * job.to_row));
    for (int64_t row = 0; row < rows; row++) {
        float* x = scratch.x.data();
        table_.expand[position(job.tensor.format)](from + row * job.from_row, job.cols, x);
        const float largest = largest_magnitude(x, job.cols);
        if (!(largest <= limit)) {
            sums.largest = std::numeric_limits<float>::infinity();
            return;
        }
        sums.largest = std::max(sums.largest, largest);
        std::byte* blocks = scratch.blocks.data() + row * job.to_row;
        quantise_row(job.plan.format, x, job.cols, blocks);
        table_.expand[position(job.plan.format)](blocks, job.cols, scratch.y.data());
        sums.add(x, scratch.y.data(), job.cols);
    }
}

void TensorPacker::panel(const Job& job, int64_t index, std::byte* out, Scratch& scratch, Sums& sums) const {
    const int64_t rows = job.rows_of(index);
    const std::byte* blocks = source_rows(job, index * kPanel, rows, scratch);
    if (job.plan.format != job.tensor.format) {
        convert(job, blocks, rows, scratch, sums);
        blocks = scratch.blocks.data();
    }
    if (job.plan.layout == Layout::panels)
        table_.pack_panel[position(job.plan.format)](blocks, job.to_row, job.cols, rows, out);
    else
        std::memcpy(out, blocks, static_cast<size_t>(rows * job.to_row));
}

Result<PackError> TensorPacker::pack(const SourceTensor& tensor, const TensorPlan& plan, const Sink& sink,
                                     const Progress& progress) {
    PackError error;
    if (plan.format == tensor.format && plan.layout == tensor.layout) {
        LAP_TRY(copy(tensor, sink, progress));
        return error;
    }
    const Job job(tensor, plan);
    const auto slab = std::max<int64_t>(
        pool_.size(), static_cast<int64_t>(kSlabBytes) / std::max(job.from_panel, job.to_panel));
    slab_.resize(job.to_bytes(0, std::min(slab, job.panels())));
    Sums total;
    for (int64_t begin = 0; begin < job.panels(); begin += slab) {
        const int64_t end = std::min(begin + slab, job.panels());
        const size_t from = tensor.offset + static_cast<size_t>(begin * job.from_panel),
                     count = job.from_bytes(begin, end);
        if (end < job.panels())
            tensor.buffer->will_need(from + count, job.from_bytes(end, std::min(end + slab, job.panels())));
        std::vector<Sums> sums(static_cast<size_t>(end - begin));
        pool_.run(end - begin, [&](int64_t item, int thread) {
            panel(job, begin + item, slab_.data() + item * job.to_panel,
                  scratch_[static_cast<size_t>(thread)], sums[static_cast<size_t>(item)]);
        });
        for (const Sums& s : sums) total.add(s);
        if (!std::isfinite(total.largest))
            return Error{Errc::bad_model_file,
                         concat("tensor ", in_quotes(tensor.name), " in ", in_quotes(tensor.file.string()),
                                " holds values that ", kernels::name(plan.format),
                                " cannot hold (not finite, or above ", kLargestQuantised, ")"),
                         "fetch the file again, or leave PackOptions::type out"};
        LAP_TRY(sink(slab_.data(), job.to_bytes(begin, end)));
        tensor.buffer->discard(from, count);
        if (!progress(count)) return Error{Errc::cancelled, "packing was stopped"};
    }
    const double values = static_cast<double>(job.rows) * static_cast<double>(job.cols);
    error.rms = std::sqrt(total.squares / values);
    error.rmse = std::sqrt(total.errors / values);
    error.max = static_cast<double>(total.largest_error);
    return error;
}

}  // namespace lapidary::model
