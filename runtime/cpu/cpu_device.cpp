// Operations as parallel loops over kernels. How the work is cut never changes a result: kernels promise
// the same bits for any slice.
#include "runtime/cpu/cpu_device.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <new>

#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime {
namespace {

// Weight rows per claim: long enough to hide the claiming and, with many columns, the kernel's packing of its
// input; short enough that no thread waits for long.
int64_t rows_per_item(int64_t columns) { return columns > 16 ? 256 : 64; }
// Values per claim of cheap element-wise work.
constexpr int64_t kValuesPerItem = 16384;

size_t index(kernels::Format f) { return static_cast<size_t>(f); }
size_t index(KvFormat f) { return static_cast<size_t>(f); }
size_t index(KvClass c) { return static_cast<size_t>(c); }

}  // namespace

CpuDevice::CpuDevice(const kernels::KernelTable& table, int threads, bool precise)
    : table_(table), precise_(precise), pool_(threads) {
    scratch_.resize(static_cast<size_t>(pool_.size()));
}

Result<Buffer> CpuDevice::allocate(size_t bytes) { return allocate_host(bytes); }

void CpuDevice::begin(const StepShape&, const StepParams& params) { params_ = &params; }

void CpuDevice::write(const TensorView& to, const float* values) {
    for (int64_t r = 0; r < to.rows; ++r)
        std::memcpy(to.f32(r), values + r * to.cols, static_cast<size_t>(to.cols) * sizeof(float));
}

void CpuDevice::reserve_scratch(int64_t bytes) {
    for (auto& s : scratch_) {
        if (s && s->bytes >= static_cast<size_t>(bytes)) continue;
        // Operations have no way to fail: a refused mapping is thrown as operator new would, and becomes an
        // error where the session computes.
        auto buffer = allocate_host(static_cast<size_t>(bytes));
        if (!buffer) throw std::bad_alloc();
        s = std::move(*buffer);
    }
}

void CpuDevice::embed_rows(const TensorView& table, float scale, const TensorView& out) {
    const auto expand = table_.expand[index(table.format)];
    pool_.run(out.rows, [&](int64_t t, int) {
        const int32_t id = params_->ids[t];
        if (id < 0) return;
        expand(table.data() + id * table.row_bytes, table.cols, out.f32(t));
        table_.scale_add(out.f32(t), scale, nullptr, out.cols);
    });
}

void CpuDevice::rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) {
    const float* weight = w ? w.f32() : nullptr;
    pool_.run(x.rows, [&](int64_t t, int) { table_.rms_norm(x.f32(t), weight, x.cols, eps, out.f32(t)); });
}

void CpuDevice::layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                           const TensorView& out) {
    pool_.run(x.rows, [&](int64_t t, int) { table_.layer_norm(x.f32(t), w.f32(), b.f32(), x.cols, eps, out.f32(t)); });
}

CpuDevice::Quantised CpuDevice::quantise(const TensorView& x) {
    const int64_t blocks = x.cols / kernels::kActivationBlock;
    q8_.resize(static_cast<size_t>(x.rows * x.cols));
    q8_scales_.resize(static_cast<size_t>(x.rows * blocks));
    pool_.run(x.rows, [&](int64_t t, int) {
        table_.quantize(x.f32(t), x.cols, q8_.data() + t * x.cols, q8_scales_.data() + t * blocks);
    });
    return {q8_.data(), q8_scales_.data()};
}

kernels::PanelInput CpuDevice::quantise_for_panels(const TensorView& x) {
    const int64_t values = x.rows * x.cols, sums = values / 32 * 4, scales = values / kernels::kActivationGroup * 4;
    const auto bytes = static_cast<size_t>(values + sums + scales);
    if (!panel_q8_ || panel_q8_->bytes < bytes) {
        auto buffer = allocate_host(bytes);
        if (!buffer) throw std::bad_alloc();  // as in reserve_scratch
        panel_q8_ = std::move(*buffer);
    }
    kernels::PanelInput out;
    out.q = reinterpret_cast<int8_t*>(panel_q8_->host);
    out.sums = reinterpret_cast<int32_t*>(panel_q8_->host + values);
    out.scales = reinterpret_cast<float*>(panel_q8_->host + values + sums);
    out.columns = x.rows;
    out.k = x.cols;
    pool_.run(x.rows, [&](int64_t t, int) { table_.quantize_panel(x.f32(t), t, out); });
    return out;
}

void CpuDevice::row_slice(const MatmulPart& p, const TensorView& x, const Quantised& q8, int64_t begin, int64_t end,
                          int thread) {
    const bool int8_input = !precise_ && kernels::is_quantised(p.weights.format);
    kernels::MatmulArgs a;
    a.weights = p.weights.data();
    a.row_bytes = p.weights.row_bytes;
    a.k = x.cols;
    a.x = int8_input ? nullptr : x.f32();
    a.xq = int8_input ? q8.values : nullptr;
    a.x_scales = int8_input ? q8.scales : nullptr;
    a.x_stride = int8_input ? x.cols : x.row_bytes / static_cast<int64_t>(sizeof(float));
    a.columns = x.rows;
    a.bias = p.bias;
    a.y = p.out.f32();
    a.y_stride = p.out.row_bytes / static_cast<int64_t>(sizeof(float));
    a.row_begin = begin;
    a.row_end = end;
    a.scratch = scratch(thread);
    (int8_input ? table_.matmul_q8 : table_.matmul)[index(p.weights.format)](a);
}

void CpuDevice::panel_slice(const MatmulPart& p, const kernels::PanelInput& x, int64_t begin, int64_t end) {
    kernels::PanelMatmulArgs a;
    a.panels = p.weights.data();
    a.x = x;
    a.y = p.out.f32();
    a.y_stride = p.out.row_bytes / static_cast<int64_t>(sizeof(float));
    a.rows = p.weights.rows;
    a.panel_begin = begin / kernels::kPanel;
    a.panel_end = (end + kernels::kPanel - 1) / kernels::kPanel;
    table_.panel_matmul[index(p.weights.format)](a);
}

void CpuDevice::matmul(std::span<const MatmulPart> parts, const TensorView& x) {
    Quantised q8;
    kernels::PanelInput panel_input;
    for (const auto& p : parts) {
        if (p.weights.layout == Layout::panels) {
            if (!panel_input.q) panel_input = quantise_for_panels(x);
        } else if (!precise_ && !q8.values && kernels::is_quantised(p.weights.format)) {
            q8 = quantise(x);
        }
    }
    reserve_scratch(kernels::matmul_scratch_bytes(x.rows));

    const int64_t slice = rows_per_item(x.rows);
    std::vector<int64_t> first_item(parts.size() + 1, 0);  // items of part i: [first_item[i], first_item[i + 1])
    for (size_t i = 0; i < parts.size(); ++i) {
        const int64_t end = parts[i].row_end < 0 ? parts[i].weights.rows : parts[i].row_end;
        first_item[i + 1] = first_item[i] + (end - parts[i].row_begin + slice - 1) / slice;
    }
    pool_.run(first_item.back(), [&](int64_t item, int thread) {
        size_t i = 0;
        while (item >= first_item[i + 1]) ++i;
        const MatmulPart& p = parts[i];
        const int64_t begin = p.row_begin + (item - first_item[i]) * slice;
        const int64_t end = std::min(begin + slice, p.row_end < 0 ? p.weights.rows : p.row_end);
        if (p.weights.layout == Layout::panels)
            panel_slice(p, panel_input, begin, end);
        else
            row_slice(p, x, q8, begin, end, thread);
    });
}

bool CpuDevice::can_pack(const TensorView& m) const {
    return !precise_ && m.layout == Layout::rows && table_.panel_matmul[index(m.format)] &&
           m.cols % kernels::kActivationGroup == 0;
}

Result<Packed> CpuDevice::pack(const TensorView& m) {
    const int64_t panels = (m.rows + kernels::kPanel - 1) / kernels::kPanel;
    const int64_t bytes = kernels::panel_bytes(m.format, m.cols);
    LAP_ASSIGN(Buffer buffer, allocate_host(static_cast<size_t>(panels * bytes)));
    const auto pack_panel = table_.pack_panel[index(m.format)];
    pool_.run(panels, [&](int64_t p, int) {
        const int64_t row = p * kernels::kPanel;
        pack_panel(m.data() + row * m.row_bytes, m.row_bytes, m.cols, std::min(kernels::kPanel, m.rows - row),
                   buffer->host + p * bytes);
    });
    TensorView out = m;
    out.buffer = buffer.get();
    out.offset = 0;
    out.row_bytes = bytes / kernels::kPanel;
    out.layout = Layout::panels;
    return Packed{std::move(buffer), out};
}

double CpuDevice::read_bandwidth(const BufferData& buffer) {
    constexpr int64_t kPiece = 1 << 20;
    std::atomic<uint64_t> checksum{0};  // keeps the reads from being optimised away
    const auto start = std::chrono::steady_clock::now();
    const int64_t pieces = static_cast<int64_t>(buffer.bytes) / kPiece;
    pool_.run(pieces, [&](int64_t piece, int) {
        const auto* words = reinterpret_cast<const uint64_t*>(buffer.host + piece * kPiece);
        uint64_t sums[8] = {};  // eight chains, so that loads and not additions are the limit
        for (int64_t i = 0; i < kPiece / 8; i += 8)
            for (int64_t j = 0; j < 8; ++j) sums[j] ^= words[i + j];
        uint64_t all = 0;
        for (const uint64_t s : sums) all ^= s;
        checksum.fetch_xor(all, std::memory_order_relaxed);
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return static_cast<double>(pieces * kPiece) / took.count() / 1e9;
}

void CpuDevice::geglu(const TensorView& gate, const TensorView& up, const TensorView& out) {
    const int64_t slices = (gate.cols + kValuesPerItem - 1) / kValuesPerItem;
    pool_.run(gate.rows * slices, [&](int64_t item, int) {
        const int64_t t = item / slices, begin = item % slices * kValuesPerItem;
        const int64_t n = std::min(kValuesPerItem, gate.cols - begin);
        table_.geglu(gate.f32(t) + begin, up.f32(t) + begin, n, out.f32(t) + begin);
    });
}

void CpuDevice::norm_rope(const TensorView& q, const TensorView& weight, float eps, const RopeTable& rope) {
    const int64_t dim = weight.cols, heads = q.cols / dim;
    const int64_t offset = params_->columns - q.rows;
    pool_.run(q.rows, [&](int64_t t, int) {
        for (int64_t h = 0; h < heads; ++h) {
            float* x = q.f32(t) + h * dim;
            table_.rms_norm(x, weight.f32(), dim, eps, x);
            table_.rope(x, dim, rope.cosine.cols, rope.cosine.f32(offset + t), rope.sine.f32(offset + t));
        }
    });
}

void CpuDevice::norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                                const RopeTable& rope, const KvView& kv) {
    const int64_t dim = kv.dim;
    const auto store = table_.store_kv[index(kv.format)];
    const KvStep& step = params_->kv[index(kv.kv_class)];
    pool_.run(k.rows, [&](int64_t t, int) {
        const int32_t position = params_->position + static_cast<int32_t>(t);
        const KvSpan* span = step.stores.data();
        while (position >= span->position + span->count) ++span;
        const KvSegment& segment = *kv.segments[static_cast<size_t>(span->segment)];
        const int64_t row = span->first_row + (position - span->position);
        const auto norm_heads = [&](const TensorView& x, const float* weight) {
            for (int64_t h = 0; h < kv.kv_heads; ++h)
                table_.rms_norm(x.f32(t) + h * dim, weight, dim, eps, x.f32(t) + h * dim);
        };
        const bool keys_as_values = v.data() == k.data();
        norm_heads(v, nullptr);
        store(v.f32(t), v.cols, segment.v->host + row * kv.row_bytes,
              segment.v_scales ? segment.v_scales->host + row * kv.scale_row_bytes : nullptr);
        if (!keys_as_values)
            norm_heads(k, k_weight.f32());
        else  // k and v share their rms: the normed key is the value times the key weight
            for (int64_t i = 0; i < k.cols; ++i) k.f32(t)[i] *= k_weight.f32()[i % dim];
        for (int64_t h = 0; h < kv.kv_heads; ++h)
            table_.rope(k.f32(t) + h * dim, dim, rope.cosine.cols, rope.cosine.f32(t), rope.sine.f32(t));
        store(k.f32(t), k.cols, segment.k->host + row * kv.row_bytes,
              segment.k_scales ? segment.k_scales->host + row * kv.scale_row_bytes : nullptr);
    });
}

void CpuDevice::attention(const TensorView& q, const KvView& kv, const TensorView& out) {
    const KvStep& step = params_->kv[index(kv.kv_class)];
    std::array<kernels::KvRun, kMaxSpans> runs;
    for (int i = 0; i < step.span_count; ++i) {
        const KvSpan& s = step.spans[static_cast<size_t>(i)];
        const KvSegment& g = *kv.segments[static_cast<size_t>(s.segment)];
        kernels::KvRun& r = runs[static_cast<size_t>(i)];
        r.k = g.k->host + s.first_row * kv.row_bytes;
        r.v = g.v->host + s.first_row * kv.row_bytes;
        r.k_scales = g.k_scales ? g.k_scales->host + s.first_row * kv.scale_row_bytes : nullptr;
        r.v_scales = g.v_scales ? g.v_scales->host + s.first_row * kv.scale_row_bytes : nullptr;
        r.row_bytes = kv.row_bytes;
        r.scale_row_bytes = kv.scale_row_bytes;
        r.position = s.position;
        r.count = s.count;
    }
    const int32_t heads = static_cast<int32_t>(q.cols / kv.dim);
    // All query heads of a kv head share a pass over the cache, unless that leaves threads idle.
    int32_t group = heads / kv.kv_heads;
    while (group > 1 && group % 2 == 0 && q.rows * (heads / group) < 2 * pool_.size()) group /= 2;
    reserve_scratch(kernels::attention_scratch_bytes(kv.dim, group));
    const int64_t groups = heads / group, offset = params_->columns - q.rows;
    pool_.run(q.rows * groups, [&](int64_t item, int thread) {
        const int64_t t = item / groups;
        kernels::AttentionArgs a;
        a.q = q.f32(t);
        a.out = out.f32(t);
        a.heads = heads;
        a.kv_heads = kv.kv_heads;
        a.dim = kv.dim;
        a.format = kv.format;
        a.runs = runs.data();
        a.run_count = step.span_count;
        a.first = params_->first[index(kv.kv_class)][offset + t];
        a.last = params_->last[index(kv.kv_class)][offset + t];
        a.head_begin = static_cast<int32_t>(item % groups) * group;
        a.head_end = a.head_begin + group;
        a.scratch = reinterpret_cast<float*>(scratch(thread));
        table_.attention(a);
    });
}

void CpuDevice::commit_kv(const KvView& kv) {
    const KvStep& step = params_->kv[index(kv.kv_class)];
    if (step.commit_count == 0) return;
    const KvSegment &ring = *kv.segments[0], &chunk = *kv.segments[1];
    const auto copy = [&](const Buffer& to, const Buffer& from, const KvCopy& c, int64_t row_bytes) {
        if (to) std::memcpy(to->host + c.to_row * row_bytes, from->host + c.from_row * row_bytes,
                            static_cast<size_t>(c.count * row_bytes));
    };
    for (int i = 0; i < step.commit_count; ++i) {
        const KvCopy& c = step.commits[static_cast<size_t>(i)];
        copy(ring.k, chunk.k, c, kv.row_bytes);
        copy(ring.v, chunk.v, c, kv.row_bytes);
        copy(ring.k_scales, chunk.k_scales, c, kv.scale_row_bytes);
        copy(ring.v_scales, chunk.v_scales, c, kv.scale_row_bytes);
    }
}

void CpuDevice::add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) {
    pool_.run(x.rows, [&](int64_t t, int) { table_.add_norm(x.f32(t), y.f32(t), w.f32(), x.cols, eps, scale); });
}

void CpuDevice::add(const TensorView& x, const TensorView& y) {
    pool_.run(x.rows, [&](int64_t t, int) { table_.scale_add(x.f32(t), 1.0f, y.f32(t), x.cols); });
}

void CpuDevice::soft_cap(const TensorView& x, float cap) {
    const int64_t slices = (x.cols + kValuesPerItem - 1) / kValuesPerItem;
    pool_.run(x.rows * slices, [&](int64_t item, int) {
        const int64_t begin = item % slices * kValuesPerItem;
        table_.soft_cap(x.f32(item / slices) + begin, std::min(kValuesPerItem, x.cols - begin), cap);
    });
}

}  // namespace lapidary::runtime
