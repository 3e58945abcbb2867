// Attention of the device: any cut into tiles and blocks, on any number of threads, gives the bits of one kernel
// call per token, and rows are stored where attention finds them.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "kernels/select.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "tests/support/device_step.h"

using namespace lapidary::runtime;
using namespace lapidary::test;
namespace kernels = lapidary::kernels;

namespace {

float random_value(uint32_t& seed) {
    seed = seed * 1664525 + 1013904223;
    return static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
}

// A full layer's cache of `rows` f16 rows in two segments, and queries of the last `tokens` of them.
struct Case {
    int32_t heads, kv_heads, dim, rows, tokens, columns;
    KvTable table;
    KvView kv;
    KvStep step;
    std::vector<int32_t> first, last;
    Buffer q_buffer, out_buffer;
    TensorView q, out;

    Case(Device& device, int32_t head_count, int32_t kv_head_count, int32_t size, int32_t row_count, int32_t q_rows)
        : heads(head_count), kv_heads(kv_head_count), dim(size), rows(row_count), tokens(q_rows), columns(q_rows + 1) {
        uint32_t seed = 5;
        const int32_t cut = rows / 2 + 3;
        kv.kv_heads = kv_heads;
        kv.dim = dim;
        kv.row = {dim * 2, dim * 2, 0, 0};
        kv.layer_bytes = 64;  // another layer lies in front
        for (const int64_t segment_rows : {rows, rows - cut + 7}) {
            const int64_t bytes = segment_rows * (kv.layer_bytes + kv.position_bytes());
            table.segments.push_back({allocate(device, bytes), segment_rows});
            std::memset(host_bytes(*table.segments.back().buffer), 0xff, static_cast<size_t>(bytes));  // NaN in every format
        }
        kv.table = &table;
        step.spans[0] = {0, 0, 0, cut};
        step.spans[1] = {1, 7, cut, rows - cut};
        step.span_count = 2;
        for (int i = 0; i < step.span_count; ++i) {  // all other rows are never to be read
            const KvSpan& span = step.spans[static_cast<size_t>(i)];
            for (const auto plane : {&KvRowBytes::k, &KvRowBytes::v})
                for (int64_t value = 0; value < int64_t{kv_heads} * span.count * dim; ++value) {
                    const int64_t line = value / dim, at = span.first_row + line % span.count;
                    const uint16_t half = kernels::float_to_half(random_value(seed));
                    std::byte* row = host_bytes(*table.segments[static_cast<size_t>(i)].buffer) +
                                     kv.offsets(i, line / span.count, at).*plane;
                    std::memcpy(row + value % dim * 2, &half, 2);
                }
        }
        for (int32_t t = 0; t < columns; ++t) {
            first.push_back(t % 3 == 1 ? 2 : 0);
            last.push_back(rows - columns + t + 1);
        }
        const auto matrix = [&](Buffer& buffer) {
            buffer = allocate(device, int64_t{tokens} * heads * dim * 4);
            return view(buffer, Format::f32, tokens, int64_t{heads} * dim);
        };
        q = matrix(q_buffer);
        out = matrix(out_buffer);
        for (int64_t i = 0; i < q.rows * q.cols; ++i) host_floats(q)[i] = random_value(seed);
    }

    // One kernel call per token and head.
    std::vector<float> plain(const kernels::KernelTable& level) const {
        std::vector<float> result(static_cast<size_t>(q.rows * q.cols));
        std::vector<float> scratch(static_cast<size_t>(kernels::attention_scratch_bytes(dim, 1) / 4) + 16);
        for (int32_t item = 0; item < tokens * heads; ++item) {
            const int32_t t = item / heads, head = item % heads;
            kernels::KvRun runs[2];
            for (size_t i = 0; i < 2; ++i) {
                const KvSpan& s = step.spans[i];
                const int64_t n = table.segments[i].rows, kv_head = head / (heads / kv_heads);
                const std::byte* planes = host_bytes(*table.segments[i].buffer) + 64 * n;
                runs[i].k = planes + (kv_head * n + s.first_row) * dim * 2;
                runs[i].v = planes + ((kv_heads + kv_head) * n + s.first_row) * dim * 2;
                runs[i].position = s.position;
                runs[i].count = s.count;
            }
            kernels::AttentionArgs a;
            a.q = host_floats(q, t);
            a.out = result.data() + t * q.cols;
            a.stride = q.cols;
            a.tokens = 1;
            a.dim = dim;
            a.row_bytes = kv.row;
            a.runs = runs;
            a.run_count = 2;
            a.first = first.data() + columns - tokens + t;
            a.last = last.data() + columns - tokens + t;
            a.head_begin = head;
            a.head_end = head + 1;
            a.scratch = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64 / 4;
            level.attention(a);
        }
        return result;
    }
};

}  // namespace

TEST_CASE("cpu device: the bits of attention do not depend on threads, tiles or the split over blocks") {
    struct Shape {
        int32_t heads, kv_heads, dim, rows, tokens;
    };
    // One token deep in a context (blocks are split), a few, a prompt of several tiles, more heads than a tile has rows.
    const Shape shapes[] = {{16, 1, 32, 1500, 1}, {4, 2, 32, 700, 3}, {4, 2, 32, 300, 90}, {150, 1, 16, 600, 2}};
    for (const char* level : {"ref", ""}) {
        const auto& table = *kernels::select(level, nullptr);
        for (const Shape& s : shapes) {
            std::vector<float> expected;
            for (const int threads : {1, 2, 5}) {
                CAPTURE(level);
                CAPTURE(s.tokens);
                CAPTURE(threads);
                CpuDevice device(table, threads, true);
                Case c(device, s.heads, s.kv_heads, s.dim, s.rows, s.tokens);
                if (expected.empty()) expected = c.plain(table);
                for (const float value : expected) REQUIRE(std::isfinite(value));
                const StepInputs in = begin_step(device, {.columns = c.columns, .head_dim = s.dim});
                in.kv(KvClass::linear) = c.step;
                std::copy(c.first.begin(), c.first.end(), in.first(KvClass::linear));
                std::copy(c.last.begin(), c.last.end(), in.last(KvClass::linear));
                device.attention(c.q, c.kv, c.out);
                CHECK(std::memcmp(host_floats(c.out), expected.data(), expected.size() * sizeof(float)) == 0);
            }
        }
    }
}

TEST_CASE("cpu device: short key rows give the attention of complete ones") {
    constexpr int32_t kHeads = 4, kKvHeads = 2, kDim = 32, kPairs = 6, kTokens = 40;
    for (const char* level : {"ref", ""}) {
        CpuDevice device(*kernels::select(level, nullptr), 2, true);
        std::vector<Buffer> buffers;
        uint32_t seed = 3;
        const auto matrix = [&](int64_t rows, int64_t cols) {
            buffers.push_back(allocate(device, rows * cols * 4));
            const TensorView m = view(buffers.back(), Format::f32, rows, cols);
            for (int64_t i = 0; i < rows * cols; ++i) host_floats(m)[i] = random_value(seed);
            return m;
        };
        const TensorView keys = matrix(kTokens, kKvHeads * kDim), q = matrix(kTokens, kHeads * kDim);
        const TensorView weight = matrix(1, kDim), cosine = matrix(kTokens, kPairs), sine = matrix(kTokens, kPairs);
        const StepInputs in = begin_step(device, {.columns = kTokens, .pairs = {0, kPairs}, .head_dim = kDim});
        std::memcpy(in.cosine(KvClass::linear), host_floats(cosine), kTokens * kPairs * 4);
        std::memcpy(in.sine(KvClass::linear), host_floats(sine), kTokens * kPairs * 4);
        KvStep& step = in.kv(KvClass::linear);
        step.spans[0] = step.stores[0] = {0, 0, 0, kTokens};
        step.span_count = step.store_count = 1;
        for (int32_t t = 0; t < kTokens; ++t) in.last(KvClass::linear)[t] = t + 1;
        TensorView outs[2];
        for (const bool compact : {false, true}) {
            const TensorView k = matrix(kTokens, keys.cols);
            std::memcpy(host_floats(k), host_floats(keys), static_cast<size_t>(kTokens * keys.cols) * 4);
            KvView kv;
            kv.format = KvFormat::f32;
            kv.kv_heads = kKvHeads;
            kv.dim = kDim;
            kv.row = {(compact ? 2 * kPairs : kDim) * 4, kDim * 4, 0, 0};
            const KvTable table{1, {{allocate(device, kTokens * kv.position_bytes()), kTokens}}};
            kv.table = &table;
            if (compact) {
                kv.key_pairs = kPairs;
                kv.key_weight = weight;
            }
            device.norm_rope_store(k, k, weight, 1e-6f, kv);
            outs[compact] = matrix(kTokens, q.cols);
            device.attention(q, kv, outs[compact]);
        }
        // Each side is off by 2 u ((dim + 4) sum |q| |k| + C + 24) times the largest |v| (kernels/attention_test.cpp, and
        // two roundings more of a key); sum |q| |k| <= |q| |k| <= 2 dim, as a normed key has length sqrt(dim), turning
        // by (cos, sin) in [-1, 1] at most doubles it, and |v| <= sqrt(dim).
        const double tolerance = 2 * 2 * 0x1p-24 * ((kDim + 4) * 2.0 * kDim + kTokens + 24) * std::sqrt(kDim);
        for (int64_t i = 0; i < q.rows * q.cols; ++i) {
            REQUIRE(std::abs(host_floats(outs[0])[i] - host_floats(outs[1])[i]) <= tolerance);
        }
    }
}
