// The cache and attention of the CPU device.
#include <cstring>

#include "runtime/cpu/cpu_device.h"

namespace lapidary::runtime {

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

}  // namespace lapidary::runtime
