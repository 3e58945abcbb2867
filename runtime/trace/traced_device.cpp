// What each operation reads and multiplies. Bytes are those that a limit is set by: weights in their source
// format, rows of the cache; for the small operations the f32 activations read and written.
#include "runtime/trace/traced_device.h"

#include <algorithm>
#include <string>

namespace lapidary::runtime {
namespace {

uint64_t floats(const TensorView& x, int64_t times) {
    return static_cast<uint64_t>(x.rows * x.cols * times) * sizeof(float);
}

}  // namespace

TracedDevice::Cost TracedDevice::product_cost(const TensorView& weights, int64_t rows, int64_t columns) {
    return {static_cast<uint64_t>(rows * kernels::row_bytes(weights.format, weights.cols)),
            static_cast<double>(rows) * static_cast<double>(weights.cols) * static_cast<double>(columns)};
}

template <class Operation>
void TracedDevice::traced(std::string_view name, const Cost& cost, const Operation& operation) {
    recorder_.begin(name);
    operation();
    recorder_.end(cost.bytes, cost.macs);
}

void TracedDevice::begin(const StepShape& shape, const StepParams& params) {
    params_ = &params;
    inner_.begin(shape, params);
}

void TracedDevice::embed_rows(const TensorView& table, float scale, const TensorView& out) {
    const Cost cost{static_cast<uint64_t>(out.rows * kernels::row_bytes(table.format, table.cols)), 0};
    traced("embed", cost, [&] { inner_.embed_rows(table, scale, out); });
}

void TracedDevice::rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) {
    traced("rms_norm", {floats(x, 2), 0}, [&] { inner_.rms_norm(x, w, eps, out); });
}

void TracedDevice::layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                              const TensorView& out) {
    traced("layer_norm", {floats(x, 2), 0}, [&] { inner_.layer_norm(x, w, b, eps, out); });
}

void TracedDevice::matmul(std::span<const MatmulPart> parts, const MatmulInput& in) {
    Cost cost;
    std::string name = in.norm ? "norm+matmul" : "matmul";
    for (const MatmulPart& p : parts) {
        const Cost part = product_cost(p.weights, (p.row_end < 0 ? p.weights.rows : p.row_end) - p.row_begin, in.x.rows);
        cost.bytes += part.bytes;
        cost.macs += part.macs;
        if (*p.name) name.append(&p == parts.data() ? " " : "+").append(p.name);
    }
    traced(name, cost, [&] { inner_.matmul(parts, in); });
}

void TracedDevice::gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in,
                                const TensorView& scratch, const TensorView& out) {
    const Cost a = product_cost(gate, gate.rows, in.x.rows), b = product_cost(up, up.rows, in.x.rows);
    traced(in.norm ? "norm+matmul gate+up+geglu" : "matmul gate+up+geglu", {a.bytes + b.bytes, a.macs + b.macs},
           [&] { inner_.gated_matmul(gate, up, in, scratch, out); });
}

void TracedDevice::norm_rope(const TensorView& q, const TensorView& weight, float eps, const RopeTable& rope) {
    traced("norm_rope", {floats(q, 2), 0}, [&] { inner_.norm_rope(q, weight, eps, rope); });
}

void TracedDevice::norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                                   const RopeTable& rope, const KvView& kv) {
    const Cost cost{static_cast<uint64_t>(k.rows) * static_cast<uint64_t>(kv.position_bytes()), 0};
    traced("norm_rope_store", cost, [&] { inner_.norm_rope_store(k, v, k_weight, eps, rope, kv); });
}

TracedDevice::Cost TracedDevice::attention_cost(const TensorView& q, const KvView& kv) const {
    const size_t kind = static_cast<size_t>(kv.kv_class);
    int64_t pairs = 0, first = INT64_MAX, last = 0;
    for (int64_t t = params_->columns - q.rows; t < params_->columns; ++t) {
        const int64_t from = params_->first[kind][t], to = params_->last[kind][t];
        pairs += to - from;
        first = std::min(first, from);
        last = std::max(last, to);
    }
    // Query times key and weight times value; the rows that the whole step sees count once.
    return {static_cast<uint64_t>(std::max<int64_t>(0, last - first)) * static_cast<uint64_t>(kv.position_bytes()),
            2.0 * static_cast<double>(pairs) * static_cast<double>(q.cols)};
}

void TracedDevice::attention(const TensorView& q, const KvView& kv, const TensorView& out) {
    traced("attention", attention_cost(q, kv), [&] { inner_.attention(q, kv, out); });
}

void TracedDevice::commit_kv(const KvView& kv) {
    const KvStep& step = params_->kv[static_cast<size_t>(kv.kv_class)];
    uint64_t rows = 0;
    for (int i = 0; i < step.commit_count; ++i) rows += static_cast<uint64_t>(step.commits[static_cast<size_t>(i)].count);
    traced("commit_kv", {2 * rows * static_cast<uint64_t>(kv.position_bytes()), 0}, [&] { inner_.commit_kv(kv); });
}

void TracedDevice::add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) {
    traced("add_norm", {floats(x, 3), 0}, [&] { inner_.add_norm(x, y, w, eps, scale); });
}

void TracedDevice::add(const TensorView& x, const TensorView& y) {
    traced("add", {floats(x, 3), 0}, [&] { inner_.add(x, y); });
}

void TracedDevice::soft_cap(const TensorView& x, float cap) {
    traced("soft_cap", {floats(x, 2), 0}, [&] { inner_.soft_cap(x, cap); });
}

}  // namespace lapidary::runtime
