// Every operation as a note: views of its own memory, copied, and numbers.
#include "tests/support/far/far_device.h"

#include <algorithm>

#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::test {

using namespace runtime;

namespace {

Buffer poisoned(size_t bytes) {
    Buffer buffer = std::move(*allocate_host(bytes));
    std::fill_n(host_bytes(*buffer), bytes, std::byte{0xFF});
    return buffer;
}

}  // namespace

// The segments as the cache has them when the step runs, by way of its table.
std::function<KvView()> FarDevice::inner(const KvView& far) {
    struct Here {
        KvTable table;
        KvSegment scratch;
        KvView view;
    };
    auto here = std::make_shared<Here>();
    here->view = far;
    here->view.key_weight = inner(far.key_weight);
    const auto look_up = [this, here, table = far.table, scratch = far.scratch] {
        here->table.segments.clear();
        for (const KvSegment& s : table->segments) here->table.segments.push_back({inner(s.buffer), s.rows});
        if (scratch) here->scratch = {inner(scratch->buffer), scratch->rows};
        here->view.table = &here->table;
        here->view.scratch = scratch ? &here->scratch : nullptr;
        return here->view;
    };
    if (fault_ != FarFault::baked_segments) return look_up;
    const KvView now = look_up();
    const KvSegment first = here->table.segments.front();
    while (first.buffer && here->table.segments.size() < 3)  // those that the cache gets later are not there
        here->table.segments.push_back({poisoned(first.buffer->bytes), first.rows});
    return [here, now] { return now; };
}

bool FarDevice::layer(const char* kind, int32_t number) {
    note([=, this] { inner_.layer(kind, number); });
    return true;
}

void FarDevice::embed_rows(const TensorView& table, Entry entry, float scale, const TensorView& out) {
    note([=, this, t = inner(table), o = inner(out)] { inner_.embed_rows(t, entry, scale, o); });
}

void FarDevice::input_rows(Rows which, const TensorView& out, int64_t from) {
    note([=, this, o = inner(out)] { inner_.input_rows(which, o, from); });
}

void FarDevice::rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) {
    note([=, this, a = inner(x), b = inner(w), o = inner(out)] { inner_.rms_norm(a, b, eps, o); });
}

void FarDevice::layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                           const TensorView& out) {
    note([=, this, ix = inner(x), iw = inner(w), ib = inner(b), o = inner(out)] {
        inner_.layer_norm(ix, iw, ib, eps, o);
    });
}

void FarDevice::matmul(std::span<const MatmulPart> parts, const MatmulInput& in) {
    std::vector<MatmulPart> noted(parts.begin(), parts.end());
    for (MatmulPart& p : noted) {
        p.weights = inner(p.weights);
        p.out = inner(p.out);
        p.bias = inner(p.bias);
    }
    const MatmulInput input(inner(in.x), inner(in.norm), in.eps, inner(in.normed));
    note([this, noted, input] { inner_.matmul(noted, input); });
}

void FarDevice::gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in,
                             const TensorView& scratch, const TensorView& out, RowRange rows) {
    const MatmulInput input(inner(in.x), inner(in.norm), in.eps, inner(in.normed));
    note([=, this, g = inner(gate), u = inner(up), s = inner(scratch), o = inner(out)] {
        inner_.gated_matmul(g, u, input, s, o, rows);
    });
}

void FarDevice::norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles) {
    note([=, this, iq = inner(q), w = inner(weight)] { inner_.norm_rope(iq, w, eps, angles); });
}

void FarDevice::norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                                const KvView& kv) {
    note([=, this, ik = inner(k), iv = inner(v), w = inner(k_weight), view = inner(kv)] {
        inner_.norm_rope_store(ik, iv, w, eps, view());
    });
}

void FarDevice::attention(const TensorView& q, const KvView& kv, const TensorView& out) {
    note([this, iq = inner(q), view = inner(kv), o = inner(out)] { inner_.attention(iq, view(), o); });
}

void FarDevice::commit_kv(const KvView& kv) {
    note([this, view = inner(kv)] { inner_.commit_kv(view()); });
}

void FarDevice::add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps,
                         float scale) {
    note([=, this, ix = inner(x), iy = inner(y), iw = inner(w)] { inner_.add_norm(ix, iy, iw, eps, scale); });
}

void FarDevice::add(const TensorView& x, const TensorView& y) {
    note([this, ix = inner(x), iy = inner(y)] { inner_.add(ix, iy); });
}

void FarDevice::soft_cap(const TensorView& x, float cap) {
    note([=, this, ix = inner(x)] { inner_.soft_cap(ix, cap); });
}

void FarDevice::top_k(const TensorView& scores, int32_t k, const TensorView& out) {
    note([=, this, s = inner(scores), o = inner(out)] { inner_.top_k(s, k, o); });
}

}  // namespace lapidary::test
