// Random rows, both devices, limits that follow from the number of roundings; see self_test.h.
#include "runtime/vulkan/self_test.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/select.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr double kUnit = 1.0 / (1 << 24);  // half the last place of f32, relative
constexpr int64_t kTestRows = 48;          // of a matrix: three panels

// Small, fast, the same everywhere.
class Random {
  public:
    explicit Random(uint32_t seed) : state_(seed * 2654435761u + 1) {}
    uint32_t bits() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        return state_ ^= state_ << 5;
    }
    float value() { return static_cast<float>(static_cast<int32_t>(bits())) * 0x1p-31f; }  // [-1, 1)

  private:
    uint32_t state_;
};

uint16_t half_bits(float value) {  // of a positive value that is normal in f16, cut
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<uint16_t>((bits >> 13 & 0x3ff) | ((bits >> 23) - 112) << 10);
}

// Offsets of the f16 scales in a block.
std::vector<size_t> scales_of(Format f) {
    switch (f) {
        case Format::q4_1: case Format::q5_1: case Format::q4_k: case Format::q5_k: return {0, 2};
        case Format::q2_k: return {80, 82};
        case Format::q3_k: return {108};
        case Format::q6_k: return {208};
        default: return {0};
    }
}

// Values in [-1, 1), or blocks of any bits whose scales lie near 1 / 64.
void fill_blocks(Format f, int64_t count, Random& random, std::byte* out) {
    if (f == Format::f32 || f == Format::bf16 || f == Format::f16) {
        for (int64_t i = 0; i < count; ++i) {
            const float value = random.value();
            uint32_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            const uint16_t upper = static_cast<uint16_t>(bits >> 16);
            const auto half = static_cast<uint16_t>(half_bits(0.01f + std::fabs(value)) | (bits >> 16 & 0x8000));
            if (f == Format::f32) std::memcpy(out + 4 * i, &bits, 4);
            if (f == Format::bf16) std::memcpy(out + 2 * i, &upper, 2);
            if (f == Format::f16) std::memcpy(out + 2 * i, &half, 2);
        }
        return;
    }
    const int64_t bytes = kernels::row_bytes(f, count), block = kernels::block_bytes(f);
    for (int64_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(random.bits() >> 8);
    for (int64_t at = 0; at < bytes; at += block)
        for (const size_t s : scales_of(f)) {
            const uint16_t half = half_bits((1.5f + random.value()) / 64);
            std::memcpy(out + at + s, &half, 2);
        }
}

double length_of_row(const TensorView& host, int64_t row) {
    std::vector<float> values(static_cast<size_t>(host.cols));
    kernels::select("ref", nullptr)->expand[static_cast<size_t>(host.format)](host_bytes(host) + row * host.row_bytes, host.cols,
                                                                             values.data());
    double sum = 0;
    for (const float v : values) sum += double{v} * v;
    return std::sqrt(sum);
}

}  // namespace

struct SelfTest::Rows {
    Buffer source, on_cpu, on_gpu;
    TensorView host;      // as it was made
    TensorView cpu, gpu;  // as each device wants it
    const TensorView& on(bool gpu_wanted) const { return gpu_wanted ? gpu : cpu; }
};

Result<SelfTest::Rows> SelfTest::rows(Format format, int64_t count, int64_t cols, uint32_t seed, Use use) {
    LAP_ASSIGN(Buffer source, allocate_host(static_cast<size_t>(count * kernels::row_bytes(format, cols))));
    Random random(seed);
    fill_blocks(format, count * cols, random, host_bytes(*source));
    return place(std::move(source), format, count, cols, use);
}

Result<SelfTest::Rows> SelfTest::place(Buffer source, Format format, int64_t count, int64_t cols, Use use) {
    Rows r;
    r.source = std::move(source);
    r.host = view(r.source, format, count, cols);
    LAP_ASSIGN(Placed cpu, reference_.place(r.host, use, {}));
    LAP_ASSIGN(Placed gpu, gpu_.place(r.host, use, {}));
    r.on_cpu = cpu.memory ? std::move(cpu.memory) : r.source;
    r.on_gpu = std::move(gpu.memory);
    r.cpu = cpu.view;
    r.gpu = gpu.view;
    return r;
}

Result<void> SelfTest::run(const StepShape& shape, const Fill& fill, const Note& note) {
    for (Device* device : {&gpu_, &reference_}) {
        LAP_ASSIGN(const Recording recording, device->begin({.shape = shape, .weights = new_identity()}, {}));
        if (fill) fill(recording.inputs);
        note(*device, device == &gpu_);
        device->end();
        LAP_TRY(device->wait(device->submit()));
    }
    return {};
}

Result<void> SelfTest::compare(const char* what, const Rows& result, const std::function<double(int64_t)>& limit) {
    const auto* got = reinterpret_cast<const float*>(gpu_.read(result.gpu));
    const auto* wanted = reinterpret_cast<const float*>(reference_.read(result.cpu));
    if (!got) return Error{Errc::device_lost, "the device was lost in a self-test"};
    for (int64_t i = 0; i < result.host.rows * result.host.cols; ++i) {
        const int64_t row = i / result.host.cols;
        const double off = std::fabs(double{got[i]} - wanted[i]), allowed = limit(row);
        if (off <= allowed) continue;  // NaN is not
        char numbers[128];
        std::snprintf(numbers, sizeof numbers, "%.6g instead of %.6g, %.2g more than rounding explains", got[i], wanted[i], off - allowed);
        return Error{Errc::internal, concat(what, ": column ", row, ", value ", i % result.host.cols, " is ", numbers)};
    }
    return {};
}

// |error| <= n u |w| |x| (Cauchy-Schwarz), n the additions that follow each other; a quotient that an int8 image rounds may
// lie at a half, so a few of its values may be one off.
Result<void> SelfTest::product(const ProductCase& c) {
    LAP_ASSIGN(const Rows w, rows(c.format, kTestRows, c.k, 1, c.use));
    LAP_ASSIGN(const Rows up, rows(c.format, kTestRows, c.k, 2, c.use));
    LAP_ASSIGN(const Rows x, rows(Format::f32, c.columns, c.k, 3));
    LAP_ASSIGN(const Rows scratch, rows(Format::f32, c.columns, kTestRows, 4));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, kTestRows, 5));
    StepShape shape{.kind = StepKind::rows, .columns = static_cast<int32_t>(c.columns), .widest = static_cast<int32_t>(c.k)};
    LAP_TRY(run(shape, {}, [&](Device& d, bool g) {
        if (c.gated) return d.gated_matmul(w.on(g), up.on(g), x.on(g), scratch.on(g), out.on(g));
        const MatmulPart part{.weights = w.on(g), .out = out.on(g)};
        d.matmul({&part, 1}, x.on(g));
    }));
    double longest = 0, longest_x = 0;
    for (int64_t r = 0; r < kTestRows; ++r)
        longest = std::max({longest, length_of_row(w.host, r), c.gated ? length_of_row(up.host, r) : 0});
    for (int64_t t = 0; t < c.columns; ++t) longest_x = std::max(longest_x, length_of_row(x.host, t));
    const double roundings = static_cast<double>(c.k) / 4 + 64;
    const double flipped = kernels::is_quantised(c.format) ? 4 * longest / std::sqrt(static_cast<double>(c.k)) * 4 / 127 : 0;
    // Images of other groups: |x| <= 1 is off by up to 1 / 254 in both. Hoeffding: sums of such errors pass 6 lengths of
    // their bounds once in 30 million.
    const double images = c.own_images ? 6 * std::sqrt(2.0) * longest / 254 : 0;
    // A weight in f16 is off by up to 2^-10 of itself: a conversion may go up or down. Hoeffding again, with |x| <= 1.
    const double half = c.half_weights ? 6 * longest / 1024 : 0;
    double product = roundings * kUnit * longest * longest_x + flipped + images + half;
    if (c.gated) product *= 2 * longest * longest_x;  // each factor's error times the other
    return compare(c.gated ? "gated product" : "product", out, [&](int64_t) { return product; });
}

// A norm's sum and quotient: width / 256 additions in a thread, then a tree.
Result<void> SelfTest::norms(const RowsCase& c) {
    LAP_ASSIGN(const Rows x, rows(Format::f32, c.columns, c.width, 6));
    LAP_ASSIGN(const Rows y, rows(Format::f32, c.columns, c.width, 7));
    LAP_ASSIGN(const Rows w, rows(Format::f32, 1, c.width, 8));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, c.width, 9));
    // The CPU's rows are their own source, which both steps begin from.
    LAP_TRY(run({.kind = StepKind::rows, .columns = static_cast<int32_t>(c.columns)}, {}, [&](Device& d, bool g) {
        d.add_norm(x.on(g), y.on(g), w.on(g), 1e-6f, 0.5f);
        d.rms_norm(x.on(g), w.on(g), 1e-6f, out.on(g));
    }));
    const double limit = 4 * 4 * (static_cast<double>(c.width) / 256 + 20) * kUnit;  // values of at most 4
    LAP_TRY(compare("residual", x, [&](int64_t) { return limit; }));
    return compare("norm", out, [&](int64_t) { return limit; });
}

namespace {

int64_t padded(int64_t bytes) { return (bytes + 15) / 16 * 16; }

KvRowBytes row_bytes_of(const AttentionCase& c) {
    const int64_t width = c.format == KvFormat::f32 ? 4 : c.format == KvFormat::f16 ? 2 : 1;
    const int64_t keys = c.key_pairs > 0 ? 2 * c.key_pairs : c.dim;
    const bool scales = c.format == KvFormat::q8_0;
    return {padded(keys * width), padded(c.dim * width), scales ? padded(keys / 32 * 2) : 0, scales ? padded(c.dim / 32 * 2) : 0};
}

// Rows of keys and values in [-1, 1), as a cache of the format has them.
void fill_cache(const AttentionCase& c, int64_t rows, std::byte* out) {
    Random random(10);
    const KvRowBytes row = row_bytes_of(c);
    const int64_t values = c.kv_heads * rows * (row.k + row.v), scales = c.kv_heads * rows * (row.k_scales + row.v_scales);
    if (c.format == KvFormat::f32) return fill_blocks(Format::f32, values / 4, random, out);
    if (c.format == KvFormat::f16) return fill_blocks(Format::f16, values / 2, random, out);
    for (int64_t i = 0; i < values; ++i) out[i] = static_cast<std::byte>(random.bits() >> 8);
    for (int64_t i = 0; i < scales / 2; ++i) {
        const uint16_t half = half_bits((1.5f + random.value()) / 256);
        std::memcpy(out + values + 2 * i, &half, 2);
    }
}

// A ring or one segment of so many rows, the step's own rows straight in their places.
void plan(const AttentionCase& c, int32_t rows, KvStep& step) {
    step.span_count = step.store_count = step.commit_count = 0;
    const int32_t end = c.position + c.columns, first = c.window > 0 ? std::max(0, c.position - c.window + 1) : 0;
    const auto pieces = [&](int32_t from, auto& list, int32_t& count) {
        for (int32_t p = from; p < end;) {
            const int32_t n = std::min(end - p, rows - p % rows);
            list[static_cast<size_t>(count++)] = {0, p % rows, p, n};
            p += n;
        }
    };
    pieces(first, step.spans, step.span_count);
    pieces(c.position, step.stores, step.store_count);
}

}  // namespace

// Scores are sums of dim products of at most 1 and a query scaled to some units; softmax turns their errors, and those of
// exp, into relative ones of the weights. Stored rows are rounded alike on both sides, but for values between two.
Result<void> SelfTest::attention(const AttentionCase& c) {
    const int32_t rows_held = ((c.window > 0 ? c.window + 16 : c.position + c.columns) + 3) / 4 * 4;
    const KvRowBytes row = row_bytes_of(c);
    const int64_t cache_bytes = c.kv_heads * rows_held * (row.k + row.v + row.k_scales + row.v_scales);
    LAP_ASSIGN(Buffer source, allocate_host(static_cast<size_t>(cache_bytes)));
    fill_cache(c, rows_held, host_bytes(*source));
    LAP_ASSIGN(const Rows cache, place(std::move(source), Format::f32, 1, cache_bytes / 4, Use::values));
    LAP_ASSIGN(const Rows q, rows(Format::f32, c.columns, int64_t{c.heads} * c.dim, 11));
    LAP_ASSIGN(const Rows k, rows(Format::f32, c.columns, int64_t{c.kv_heads} * c.dim, 12));
    LAP_ASSIGN(const Rows v, rows(Format::f32, c.columns, int64_t{c.kv_heads} * c.dim, 13));
    LAP_ASSIGN(const Rows q_weight, rows(Format::f32, 1, c.dim, 14));
    LAP_ASSIGN(const Rows k_weight, rows(Format::f32, 1, c.dim, 15));
    LAP_ASSIGN(const Rows out, rows(Format::f32, c.columns, q.host.cols, 16));
    KvTable tables[2];
    KvView views[2];
    for (const bool g : {false, true}) {
        KvView& view = views[g];
        tables[g].segments = {{g ? cache.on_gpu : cache.on_cpu, rows_held}};
        view.table = &tables[g];
        view.kv_class = c.kv_class;
        view.format = c.format;
        view.kv_heads = c.kv_heads;
        view.dim = c.dim;
        view.key_pairs = c.key_pairs;
        view.row = row;
        view.key_weight = k_weight.on(g);
    }
    StepShape shape{.columns = c.columns, .leaving = c.columns, .pairs = {c.pairs, c.pairs}, .widest = c.heads * c.dim, .head_dim = c.dim};
    const auto fill = [&](const StepInputs& in) {
        in.position() = c.position;
        for (const KvClass kind : {KvClass::window, KvClass::linear}) {
            plan(c, rows_held, in.kv(kind));
            for (int32_t t = 0; t < c.columns; ++t) {
                in.last(kind)[t] = c.position + t + 1;
                in.first(kind)[t] = c.window > 0 ? std::max(0, c.position + t + 1 - c.window) : 0;
                for (int32_t i = 0; i < c.pairs; ++i) {
                    in.cosine(kind)[t * c.pairs + i] = static_cast<float>(std::cos(0.1 * (t + i)));
                    in.sine(kind)[t * c.pairs + i] = static_cast<float>(std::sin(0.1 * (t + i)));
                }
            }
        }
    };
    LAP_TRY(run(shape, fill, [&](Device& d, bool g) {
        d.norm_rope_store(k.on(g), v.on(g), k_weight.on(g), 1e-6f, views[g]);
        d.norm_rope(q.on(g), q_weight.on(g), 1e-6f, c.kv_class);
        d.attention(q.on(g), views[g], out.on(g));
    }));
    // |q| <= sqrt(3 dim): of a normed head; scores within |q| |k|.
    const double score = std::sqrt(3.0 * c.dim) * std::sqrt(static_cast<double>(c.dim));
    const double positions = c.window > 0 ? c.window : c.position + c.columns;
    const double rounding = 2 * (c.dim + 3) * score * kUnit + 4 * (3 + 2 * score) * kUnit + (positions / 64 + 24) * kUnit;
    const double one_off = c.format == KvFormat::q8_0 ? 3.0 * c.columns / 127 : c.format == KvFormat::f16 ? 3.0 * c.columns / 1024 : 0;
    return compare("attention", out, [&](int64_t) { return 4 * rounding + one_off; });
}

}  // namespace lapidary::runtime::vulkan
