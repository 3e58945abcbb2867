// The small operations: norms, activations, rotation, cache rows, expansion of weights. Bytes are those read and
// written. Names: rms_norm/<level>/n:<values>, store_kv/<format>/<level>/n:<values>.
#include <cmath>
#include <cstring>
#include <functional>

#include "bench/support.h"

namespace lapidary::bench {
namespace {

constexpr float kEps = 1e-6f;

// One operation on buffers of its own: what to call, where the result lies, bytes read and written per value.
struct Operation {
    std::function<void(const KernelTable&, float* out)> call;
    double bytes_per_value;
};

struct Inputs {
    int64_t n;
    Aligned<float> a, b, w;
    Aligned<uint8_t> row, scales;
    Aligned<int8_t> q;
    std::vector<uint8_t> weights;

    Inputs(int64_t count, Format format)
        : n(count), a(random_values(n)), b(random_values(n)), w(random_values(n)), row(4 * n), scales(n), q(n),
          weights(random_weights(format, kPanel, n)) {}
};

// `out` holds 16 n floats; the first n are a copy of the input, for operations that work in place.
Operation operation(const KernelRow& row, const Inputs& in) {
    const int64_t n = in.n;
    const auto format = static_cast<size_t>(row.weights);
    if (row.op == "rms_norm") return {[=, &in](const auto& t, float* out) { t.rms_norm(in.a.data(), in.w.data(), n, kEps, out); }, 12};
    if (row.op == "layer_norm")
        return {[=, &in](const auto& t, float* out) { t.layer_norm(in.a.data(), in.w.data(), in.b.data(), n, kEps, out); }, 16};
    if (row.op == "add_norm")
        return {[=, &in](const auto& t, float* out) { t.add_norm(out, in.b.data(), in.w.data(), n, kEps, 0.5f); }, 16};
    if (row.op == "geglu") return {[=, &in](const auto& t, float* out) { t.geglu(in.a.data(), in.b.data(), n, out); }, 12};
    if (row.op == "rope")
        return {[=, &in](const auto& t, float* out) { t.rope(out, n, n / 2, in.a.data(), in.b.data()); }, 12};
    if (row.op == "soft_cap") return {[=](const auto& t, float* out) { t.soft_cap(out, n, 30.0f); }, 8};
    if (row.op == "scale_add") return {[=, &in](const auto& t, float* out) { t.scale_add(out, 0.5f, in.b.data(), n); }, 12};
    const int64_t row_size = row_bytes(row.weights, n);
    const double bytes = static_cast<double>(row_size) / static_cast<double>(n);
    if (row.op == "expand")
        return {[=, &in](const auto& t, float* out) { t.expand[format](in.weights.data(), n, out); }, 4 + bytes};
    if (row.op == "pack_panel")
        return {[=, &in](const auto& t, float* out) { t.pack_panel[format](in.weights.data(), row_size, n, kPanel, out); },
                2 * kPanel * bytes};
    if (row.op == "unpack_panel_row")
        return {[=, &in](const auto& t, float* out) { t.unpack_panel_row[format](in.weights.data(), n, 0, out); }, 2 * bytes};
    if (row.op == "quantize")
        return {[=, &in](const auto& t, float* out) { t.quantize(in.a.data(), n, in.q.data(), out); }, 5};
    if (row.op == "store_kv") {
        const auto kv = static_cast<size_t>(row.cache);
        return {[=, &in](const auto& t, float* out) { t.store_kv[kv](in.a.data(), n, out, in.scales.data()); }, 6};
    }
    return {};
}

void run(benchmark::State& state, const KernelRow& row) {
    const int64_t n = state.range(0);
    const Inputs in(n, row.weights);
    const Operation op = operation(row, in);
    const Aligned<float> out(kPanel * n), expected(kPanel * n);
    for (const Aligned<float>* buffer : {&out, &expected}) std::memcpy(buffer->data(), in.a.data(), static_cast<size_t>(n) * 4);
    op.call(*select("ref", nullptr), expected.data());
    op.call(*row.table, out.data());
    const bool same = row.exact ? std::memcmp(out.data(), expected.data(), out.span().size_bytes()) == 0
                                : agree(out.data(), expected.data(), n);
    if (!same) return state.SkipWithError("wrong result");
    for (auto _ : state) {
        op.call(*row.table, out.data());
        benchmark::ClobberMemory();
    }
    count(state, row, op.bytes_per_value * static_cast<double>(n), 0);
}

}  // namespace

bool register_rows(const KernelRow& row) {
    if (!operation(row, Inputs(256, row.weights)).call) return false;
    return add(row, name_of(row), run)
        ->ArgName("n")
        ->Arg(row.op == "rope" || row.op == "store_kv" ? 512 : row.op == "geglu" ? 15360 : 3840);
}

}  // namespace lapidary::bench
