// Attention: a tile of a prompt and one decoded token, in the shapes of the 12B's sliding and full layers, for every cache
// format; and the merge of a decoded token's partials. Names: attention/<layer>/<format>/<level>/tokens:<T>/depth:<C>,
// attention_merge/<layer>/<level>/depth:<C>. Bytes are those of the cache, or of the partials.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bench/support.h"

namespace lapidary::bench {
namespace {

struct Layer {
    const char* name;
    int32_t heads, kv_heads, dim, window, key_pairs;
};
constexpr Layer kLayers[] = {{"sliding", 16, 8, 256, 1024, 0}, {"full", 16, 1, 512, 1 << 30, 64}};

// Rows of one kv head after the other, as a cache holds them, filled with values in [-1, 1].
struct Plane {
    std::vector<uint8_t> values, scales;
    int64_t row_bytes = 0, scale_row_bytes = 0, rows = 0;

    Plane(int32_t kv_heads, int64_t n, KvFormat format, int32_t positions, uint32_t seed) : rows(positions) {
        row_bytes = n * (format == KvFormat::f32 ? 4 : format == KvFormat::f16 ? 2 : 1);
        scale_row_bytes = format == KvFormat::q8_0 ? n / 32 * 2 : 0;
        values.resize(static_cast<size_t>(kv_heads * rows * row_bytes));
        scales.resize(static_cast<size_t>(kv_heads * rows * scale_row_bytes));
        std::vector<float> row(static_cast<size_t>(n));
        const auto store = select("ref", nullptr)->store_kv[static_cast<size_t>(format)];
        for (int64_t r = 0; r < kv_heads * rows; ++r) {
            for (float& v : row) {
                seed = seed * 1664525 + 1013904223;
                v = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
            }
            store(row.data(), n, values.data() + r * row_bytes, scales.data() + r * scale_row_bytes);
        }
    }
    const uint8_t* head(int32_t h) const { return values.data() + h * rows * row_bytes; }
    const uint8_t* head_scales(int32_t h) const { return scales.data() + h * rows * scale_row_bytes; }
};

void attention(benchmark::State& state, const KernelRow& function, const Layer& layer, KvFormat format) {
    const auto tokens = static_cast<int32_t>(state.range(0)), depth = static_cast<int32_t>(state.range(1));
    const int32_t group = layer.heads / layer.kv_heads, begin = std::max(0, depth + 1 - layer.window);
    const Plane k(layer.kv_heads, layer.key_pairs > 0 ? 2 * layer.key_pairs : layer.dim, format, depth + tokens - begin, 1);
    const Plane v(layer.kv_heads, layer.dim, format, depth + tokens - begin, 2);
    const std::vector<float> key_weight(static_cast<size_t>(layer.dim), 0.75f);
    const int64_t row = int64_t{layer.heads} * layer.dim;
    std::vector<float> q(static_cast<size_t>(tokens * row)), out(q.size()), expected(q.size());
    for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<float>(i * 37 % 101) / 250.0f - 0.2f;
    std::vector<int32_t> first, last;
    int64_t positions = 0;
    for (int32_t t = 0; t < tokens; ++t) {
        last.push_back(depth + t + 1);
        first.push_back(std::max(0, depth + t + 1 - layer.window));
        positions += last.back() - first.back();
    }
    std::vector<KvRun> runs;
    for (int32_t h = 0; h < layer.kv_heads; ++h)
        runs.push_back({k.head(h), v.head(h), k.head_scales(h), v.head_scales(h), begin, depth + tokens - begin});
    const Aligned<float> scratch(attention_scratch_bytes(layer.dim, tokens * group) / 4);
    AttentionArgs a;
    a.q = q.data();
    a.out = out.data();
    a.stride = row;
    a.tokens = tokens;
    a.dim = layer.dim;
    a.format = format;
    a.key_pairs = layer.key_pairs;
    a.key_weight = key_weight.data();
    a.runs = runs.data();
    a.run_count = 1;
    a.row_bytes = {k.row_bytes, v.row_bytes, k.scale_row_bytes, v.scale_row_bytes};
    a.first = first.data();
    a.last = last.data();
    a.scratch = scratch.data();
    const auto all_heads = [&] {
        for (int32_t h = 0; h < layer.heads; h += group) {
            a.runs = &runs[static_cast<size_t>(h / group)];
            a.head_begin = h;
            a.head_end = h + group;
            function.table->attention(a);
        }
    };
    all_heads();
    AttentionArgs one = a;
    one.out = expected.data();
    one.runs = runs.data();
    one.tokens = one.head_end = 1;
    one.head_begin = 0;
    select("ref", nullptr)->attention(one);
    for (size_t i = 0; i < static_cast<size_t>(layer.dim); ++i) {
        if (!(std::abs(out[i] - expected[i]) <= 0.02f)) return state.SkipWithError("wrong result");
    }
    for (auto _ : state) {
        all_heads();
        benchmark::ClobberMemory();
    }
    count(state, function, static_cast<double>(k.values.size() + k.scales.size() + v.values.size() + v.scales.size()),
          static_cast<double>(2 * positions * row));
}

void merge(benchmark::State& state, const KernelRow& function, const Layer& layer) {
    const int32_t group = layer.heads / layer.kv_heads;
    const int64_t values = int64_t{group} * layer.dim;
    AttentionMergeArgs m;
    m.count = static_cast<int32_t>(state.range(0)) / kAttentionBlock;
    m.partial_floats = attention_partial_bytes(layer.dim, group) / 4;
    const Aligned<float> partials(m.count * m.partial_floats), out(values),
        scratch(attention_scratch_bytes(layer.dim, group) / 4);
    // A level lays out its partials as it likes. Where a block's sums are all its maximum, every mean is one.
    for (int64_t i = 0; i < m.count * m.partial_floats; ++i) partials[i] = 1 + static_cast<float>(i / m.partial_floats) / 8;
    m.partials = partials.data();
    m.out = out.data();
    m.stride = values;
    m.tokens = 1;
    m.dim = m.dim_end = layer.dim;
    m.head_end = group;
    m.scratch = scratch.data();
    function.table->attention_merge(m);
    for (const float v : out.span())
        if (!(std::abs(v - 1) <= 1e-4f)) return state.SkipWithError("wrong result");
    for (auto _ : state) {
        function.table->attention_merge(m);
        benchmark::ClobberMemory();
    }
    count(state, function, static_cast<double>(partials.span().size_bytes()), 0);
}

}  // namespace

bool register_attention(const KernelRow& row) {
    for (const Layer& layer : kLayers) {
        if (row.op == "attention_merge")
            add(row, "attention_merge/" + std::string(layer.name) + "/" + std::string(row.isa),
                [=](auto& state, const KernelRow& r) { merge(state, r, layer); })
                ->ArgName("depth")->Arg(8192);
        if (row.op != "attention" || row.isa == "ref") continue;
        for (const KvFormat format : {KvFormat::f32, KvFormat::f16, KvFormat::q8_0}) {
            const std::string name =
                std::string("attention/") + layer.name + "/" + kernels::name(format) + "/" + std::string(row.isa);
            const int64_t tile = kAttentionRows / (layer.heads / layer.kv_heads);
            add(row, name, [=](auto& state, const KernelRow& r) { attention(state, r, layer, format); })
                ->ArgNames({"tokens", "depth"})
                ->Args({1, 8192})
                ->Args({tile / 4, 8192})
                ->Args({tile, 256})
                ->Args({tile, 8192})
                ->Unit(benchmark::kMillisecond);
        }
    }
    return row.op == "attention" || row.op == "attention_merge";
}

}  // namespace lapidary::bench
