// Rows to panels and back, by all threads; see cpu_weights.h.
#include "runtime/cpu/cpu_weights.h"

#include <algorithm>

#include "base/try.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime {
namespace {

// A matrix moves in slices of this size: some milliseconds, after which a user may stop it.
constexpr int64_t kBytesPerReport = 8 << 20;

bool may_pack(Use use) { return use == Use::matrix || use == Use::embedding; }

int64_t panels_of(const TensorView& m) { return (m.rows + kernels::kPanel - 1) / kernels::kPanel; }

}  // namespace

bool CpuWeights::can_pack(const TensorView& m) const {
    return !cpu_.precise && m.layout == Layout::rows && cpu_.table.panel_matmul[index(m.format)] &&
           m.cols % kernels::panel_k_multiple(m.format) == 0;
}

bool CpuWeights::must_unpack(const TensorView& m) const {
    return m.layout == Layout::panels && (cpu_.precise || !cpu_.table.panel_matmul[index(m.format)]);
}

bool CpuWeights::moves(const TensorView& m, Use use) const {
    return may_pack(use) && (can_pack(m) || must_unpack(m));
}

KernelChoice CpuWeights::kernels_of(const TensorView& m, Use use) const {
    const std::string format = kernels::name(m.format);
    const bool packed = m.layout == Layout::panels ? !must_unpack(m) : may_pack(use) && can_pack(m);
    if (packed)
        return {Layout::panels, "panel_matmul_" + format, cpu_.few_isa[index(m.format)], cpu_.many_isa[index(m.format)]};
    const bool int8_input = !cpu_.precise && kernels::is_quantised(m.format);
    return {Layout::rows, "matmul_" + format + (int8_input ? "_q8" : ""), cpu_.table.isa, cpu_.table.isa};
}

Result<Placed> CpuWeights::place(const TensorView& host, Use use, const ByteSink& progress) {
    if (!moves(host, use)) return Placed{nullptr, host, true};
    return can_pack(host) ? pack(host, progress) : unpack(host, progress);
}

Result<void> CpuWeights::move_panels(const TensorView& m, const ByteSink& progress,
                                     const std::function<void(int64_t panel)>& move) {
    const int64_t panels = panels_of(m), bytes = m.bytes();
    const int64_t slice = std::max<int64_t>(1, panels * kBytesPerReport / std::max<int64_t>(1, bytes));
    cpu_.pool.use(cpu_.pool.size());
    for (int64_t first = 0; first < panels; first += slice) {
        const int64_t count = std::min(slice, panels - first);
        cpu_.pool.run(count, [&](int64_t p, int) { move(first + p); });
        if (progress && !progress(bytes * (first + count) / panels))
            return Error{Errc::cancelled, "rearranging the weights was stopped"};
    }
    return {};
}

Result<Placed> CpuWeights::pack(const TensorView& m, const ByteSink& progress) {
    const int64_t bytes = kernels::panel_bytes(m.format, m.cols);
    LAP_ASSIGN(Buffer buffer, allocate_host(static_cast<size_t>(panels_of(m) * bytes)));
    const auto pack_panel = cpu_.table.pack_panel[index(m.format)];
    LAP_TRY(move_panels(m, progress, [&](int64_t p) {
        const int64_t row = p * kernels::kPanel;
        pack_panel(host_bytes(m) + row * m.row_bytes, m.row_bytes, m.cols, std::min(kernels::kPanel, m.rows - row),
                   host_bytes(*buffer) + p * bytes);
    }));
    TensorView out = m;
    out.buffer = buffer.get();
    out.offset = 0;
    out.row_bytes = bytes / kernels::kPanel;
    out.layout = Layout::panels;
    return Placed{std::move(buffer), out};
}

Result<Placed> CpuWeights::unpack(const TensorView& m, const ByteSink& progress) {
    const int64_t row_bytes = kernels::row_bytes(m.format, m.cols);
    LAP_ASSIGN(Buffer buffer, allocate_host(static_cast<size_t>(m.rows * row_bytes)));
    const auto unpack_row = cpu_.table.unpack_panel_row[index(m.format)];
    LAP_TRY(move_panels(m, progress, [&](int64_t p) {
        const int64_t begin = p * kernels::kPanel, end = std::min(begin + kernels::kPanel, m.rows);
        for (int64_t row = begin; row < end; ++row)
            unpack_row(host_bytes(m) + begin * m.row_bytes, m.cols, row - begin, host_bytes(*buffer) + row * row_bytes);
    }));
    const TensorView rows = view(buffer, m.format, m.rows, m.cols);
    return Placed{std::move(buffer), rows};
}

}  // namespace lapidary::runtime
