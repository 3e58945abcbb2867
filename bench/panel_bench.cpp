// Panels, every format: products of 1 to 512 columns, and what prepares the activations.
// Names: panel_matmul/<format>/<level>/k:<K>/columns:<T>/cold:<0|1>. cold: the weights come from memory (the calls
// take turns over copies that no cache holds), as in decoding; else from L2, which shows what the arithmetic can do.
#include <algorithm>
#include <bit>

#include "bench/support.h"

namespace lapidary::bench {
namespace {

constexpr int64_t kRows = 256;
constexpr int64_t kColdBytes = int64_t{256} << 20;

// The activations in the form that the table's kernel wants, with the memory they lie in.
struct Activations {
    Aligned<float> x;
    Aligned<int8_t> q;
    Aligned<int16_t> sums;
    Aligned<int32_t> offsets, eighths;
    Aligned<float> scales;
    Aligned<uint16_t> rounded;
    PanelInput input;

    Activations(const KernelTable& table, Format format, int64_t columns, int64_t k)
        : x(random_values(columns * k)),
          q(columns * panel_q_stride(k)),
          sums(columns * k / 16),
          offsets(columns * k / 32),
          eighths(columns * k / 8),
          scales(columns * k / kActivationGroup),
          rounded(columns * (k + 32)) {
        input.columns = columns;
        input.k = k;
        if (is_quantised(format)) {
            input.q = q.data();
            input.sums = sums.data();
            input.offsets = offsets.data();
            input.eighths = eighths.data();
            input.scales = scales.data();
            input.q_stride = panel_q_stride(k);
            for (int64_t t = 0; t < columns; ++t) table.quantize_panel(x.data() + t * k, t, input);
            return;
        }
        input.x = x.data();
        input.x_stride = k;
        if (format != Format::bf16 || !table.round_bf16) return;
        input.x_stride = k + 32;
        for (int64_t t = 0; t < columns; ++t) table.round_bf16(x.data() + t * k, k, rounded.data() + t * input.x_stride);
        input.xb = rounded.data();
    }

    // The values in bf16 that the kernel sees, as f32 [columns][k].
    void copy_rounded(const Aligned<float>& to) const {
        for (int64_t i = 0; i < input.columns * input.k; ++i)
            to[i] = std::bit_cast<float>(uint32_t{rounded[i / input.k * input.x_stride + i % input.k]} << 16);
    }
};

void panel_matmul(benchmark::State& state, const KernelRow& row) {
    const KernelTable& table = *row.table;
    const Format format = row.weights;
    const int64_t k = state.range(0), columns = state.range(1);
    const KernelTable& ref = *select("ref", nullptr);
    const auto kernel = table.panel_matmul[static_cast<size_t>(format)];
    const auto weights = random_weights(format, kRows, k);
    const int64_t bytes = kRows / kPanel * panel_bytes(format, k);
    const int64_t copies = state.range(2) ? std::max<int64_t>(1, kColdBytes / bytes) : 1;
    const Aligned<uint8_t> panels(bytes * copies);
    for (int64_t p = 0; p < copies * kRows / kPanel; ++p)
        table.pack_panel[static_cast<size_t>(format)](weights.data() + p % (kRows / kPanel) * kPanel * row_bytes(format, k),
                                                      row_bytes(format, k), k, kPanel,
                                                      panels.data() + p * panel_bytes(format, k));
    const Activations activations(table, format, columns, k), plain(ref, format, columns, k);
    if (activations.input.xb) activations.copy_rounded(plain.x);
    const Aligned<float> y(columns * kRows), expected(columns * kRows);
    PanelMatmulArgs a;
    a.panels = panels.data();
    a.y_stride = kRows;
    a.rows = kRows;
    a.panel_end = 1;
    a.x = plain.input;
    a.y = expected.data();
    ref.panel_matmul[static_cast<size_t>(format)](a);
    a.x = activations.input;
    a.y = y.data();
    a.panel_end = kRows / kPanel;
    kernel(a);
    for (int64_t t = 0; t < columns; ++t)
        if (!agree(&y[t * kRows], &expected[t * kRows], kPanel)) return state.SkipWithError("wrong result");
    int64_t copy = 0;
    for (auto _ : state) {
        a.panels = panels.data() + copy * bytes;
        copy = copy + 1 == copies ? 0 : copy + 1;
        kernel(a);
        benchmark::ClobberMemory();
    }
    count(state, row, static_cast<double>(kRows * row_bytes(format, k)), static_cast<double>(kRows * k * columns));
}

void quantize_panel(benchmark::State& state, const KernelRow& row) {
    const KernelTable& table = *row.table;
    const int64_t k = state.range(0);
    const Activations mine(table, Format::q4_0, 1, k), expected(*select("ref", nullptr), Format::q4_0, 1, k);
    if (!std::equal(mine.q.span().begin(), mine.q.span().begin() + k, expected.q.span().begin()))
        return state.SkipWithError("wrong result");
    for (auto _ : state) {
        table.quantize_panel(mine.x.data(), 0, mine.input);
        benchmark::ClobberMemory();
    }
    count(state, row, static_cast<double>(k * 4), 0);
}

void round_bf16(benchmark::State& state, const KernelRow& row) {
    const KernelTable& table = *row.table;
    const int64_t k = state.range(0);
    const Activations mine(table, Format::bf16, 1, k);
    for (int64_t i = 0; i < k; ++i) {
        uint32_t bits = 0;
        std::copy_n(reinterpret_cast<const char*>(&mine.x[i]), 4, reinterpret_cast<char*>(&bits));
        const auto nearest = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        if (mine.rounded[i] != nearest) return state.SkipWithError("wrong result");
    }
    for (auto _ : state) {
        table.round_bf16(mine.x.data(), k, mine.rounded.data());
        benchmark::ClobberMemory();
    }
    count(state, row, static_cast<double>(k * 4), 0);
}

}  // namespace

bool register_panels(const KernelRow& row) {
    if (row.op == "quantize_panel") return add(row, name_of(row), quantize_panel)->ArgName("k")->Arg(3840)->Arg(15360);
    if (row.op == "round_bf16") return add(row, name_of(row), round_bf16)->ArgName("k")->Arg(3840)->Arg(15360);
    if (row.op != "panel_matmul") return false;
    auto* bench = add(row, name_of(row), panel_matmul);
    bench->ArgNames({"k", "columns", "cold"})->Unit(benchmark::kMicrosecond);
    for (const int64_t k : {3840, 15360}) {
        bench->Args({k, 1, 1});
        for (const int64_t columns : {1, 2, 4, 8, 16, 32, 64, 512}) bench->Args({k, columns, 0});
    }
    return true;
}

}  // namespace lapidary::bench
