// Every operation as dispatches; see vulkan_device.h.
#include <algorithm>
#include <array>
#include <utility>

#include "base/describe.h"
#include "kernels/panels.h"
#include "runtime/trace/recorder.h"
#include "runtime/vulkan/vulkan_device.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr uint32_t kRowThreads = 256;  // of a workgroup that takes a row

uint32_t groups_of(int64_t items, uint32_t threads) { return static_cast<uint32_t>((items + threads - 1) / threads); }

RowsCase rows_of_test(const TensorView& v) { return {v.cols, std::min<int64_t>(v.rows, 3)}; }

bool same_rows(const TensorView& a, const TensorView& b) {
    return a.buffer == b.buffer && a.offset == b.offset && a.rows == b.rows && a.cols == b.cols;
}

// Of the parts that share a dispatch with this matrix.
int64_t rows_together(std::span<const MatmulPart> parts, const TensorView& matrix) {
    int64_t rows = 0;
    for (const MatmulPart& p : parts)
        if (p.weights.format == matrix.format && p.weights.layout == matrix.layout) rows += p.rows.end_of(p.weights) - p.rows.begin;
    return rows;
}

// "norm+matmul k+v+q"
std::string product_name(std::span<const MatmulPart> parts, const MatmulInput& in) {
    std::string name = in.norm ? "norm+matmul" : "matmul";
    for (const MatmulPart& p : parts)
        if (*p.name) name.append(&p == parts.data() ? " " : "+").append(p.name);
    return name;
}

}  // namespace

template <class Note>
void VulkanDevice::operation(std::string name, std::function<OpCost(const StepInputs&)> cost, const Note& note) {
    note_pending();
    Notes& n = *notes_;
    const size_t first = n.dispatches.size();
    note(n.dispatches);
    const size_t count = n.dispatches.size() - first;
    if (count == 0) return;
    for (size_t i = first; i < n.dispatches.size(); ++i) n.dispatches[i].operation = static_cast<uint32_t>(n.operations.size());
    n.operations.push_back({std::move(name), std::move(cost), n.layer_kind, n.layer});
}

bool VulkanDevice::layer(const char* kind, int32_t number) {
    notes_->layer_kind = kind;
    notes_->layer = number;
    notes_->layers.push_back({notes_->dispatches.size(), number});
    return true;
}

void VulkanDevice::give(const Help& help) {
    operation("hand over", [](const StepInputs&) { return OpCost(); }, [&](auto& dispatches) {
        notes_->helps.push_back({dispatches.size(), help.run, notes_->layer_kind, notes_->layer});
        Dispatch d{.ranges = {columns_of(help.in, 0, help.in.cols)}, .meeting = Meeting::give};
        for (const TensorView& out : help.outs) d.ranges.push_back(columns_of(out, 0, out.cols));
        dispatches.push_back(std::move(d));
    });
    if (const auto room = meetings_->reserve(notes_->helps.size()); outcome_ && !room) outcome_ = room.error();
}

void VulkanDevice::take() {
    operation("wait for the CPU", [](const StepInputs&) { return OpCost(); },
              [](auto& dispatches) { dispatches.push_back({.meeting = Meeting::take}); });
}

void VulkanDevice::embed_rows(const TensorView& table, Entry entry, float scale, const TensorView& out) {
    static constexpr std::array kRows = {
        Shader::embed_rows_f32,  Shader::embed_rows_f16,  Shader::embed_rows_bf16, Shader::embed_rows_q4_0, Shader::embed_rows_q4_1,
        Shader::embed_rows_q5_0, Shader::embed_rows_q5_1, Shader::embed_rows_q8_0, Shader::embed_rows_q2_k, Shader::embed_rows_q3_k,
        Shader::embed_rows_q4_k, Shader::embed_rows_q5_k, Shader::embed_rows_q6_k, Shader::embed_rows_iq4_nl, Shader::embed_rows_iq4_xs};
    const bool panels = table.layout == Layout::panels;
    const auto shader = [&] {
        if (!panels) return kRows[static_cast<size_t>(table.format)];
        switch (table.format) {
            case Format::q8_0: return Shader::embed_panels_q8_0;
            case Format::q4_k: return Shader::embed_panels_q4_k;
            case Format::q6_k: return Shader::embed_panels_q6_k;
            case Format::bf16: return Shader::embed_panels_bf16;
            case Format::f16: return Shader::embed_panels_f16;
            default: return Shader::embed_panels_q4_0;
        }
    };
    const EmbedCase test{table.format, panels ? Use::embedding : Use::projection, table.cols, rows_of_test(out).columns};
    if (trust_ && !(outcome_ && trusted(std::string(row_of(shader()).name), trust_->embed_rows(shader(), test)))) return;
    operation("embed", [=](const StepInputs&) { return embed_cost(table, out.rows); }, [&](auto& dispatches) {
        const auto unit = static_cast<uint32_t>(table.row_bytes * (panels ? kernels::kPanel : 1));
        const struct { uint32_t cols, stride, unit; float scale; } scalars{static_cast<uint32_t>(out.cols), floats_apart(out), unit, scale};
        const int32_t* ids = entry == Entry::ids ? inputs_.ids() : inputs_.second_ids();
        dispatches.push_back(make_dispatch({shader(), {kRowThreads}}, {groups_of(out.cols, kRowThreads), static_cast<uint32_t>(out.rows), 1},
                                           {range_of(table), memory().of(ids, static_cast<uint64_t>(out.rows) * 4), range_of(out)},
                                           scalars));
    });
}

void VulkanDevice::input_rows(Rows which, const TensorView& out, int64_t from) {
    const bool all = which == Rows::all;
    const auto test = all ? &SelfTest::input_rows : &SelfTest::input_rows_without_id;
    if (!trust_rows(all ? "input_rows" : "input_rows_without_id", test, rows_of_test(out))) return;
    const int64_t columns = shape_.columns, width = shape_.row_width;
    operation("input_rows", [=](const StepInputs&) { return move_cost(out, 2); }, [&](auto& dispatches) {
        const struct { uint32_t cols, row_width, stride; } scalars{static_cast<uint32_t>(out.cols), static_cast<uint32_t>(width), floats_apart(out)};
        const StepMemory m = memory();
        dispatches.push_back(make_dispatch({Shader::input_rows, {kRowThreads, all ? 0u : 1u}},
                                           {groups_of(out.cols, kRowThreads), static_cast<uint32_t>(out.rows), 1},
                                           {m.of(inputs_.rows() + from, static_cast<uint64_t>(columns * width - from) * 4),
                                            m.of(inputs_.ids(), static_cast<uint64_t>(columns) * 4), range_of(out)},
                                           scalars));
    });
}

void VulkanDevice::rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) {
    if (w ? !trust_norms(rows_of_test(x)) : !trust_rows("bare_norm", &SelfTest::bare_norm, rows_of_test(x))) return;
    operation("rms_norm", [=](const StepInputs&) { return move_cost(x, 2); }, [&](auto& dispatches) {
        const struct { uint32_t n; float eps, scale; } scalars{static_cast<uint32_t>(x.cols), eps, 1.0f};
        dispatches.push_back(make_dispatch({Shader::rms_norm, {kRowThreads, w ? 1u : 0u}}, {static_cast<uint32_t>(x.rows), 1, 1},
                                           {range_of(x), range_of(w), range_of(out)}, scalars));
    });
}

void VulkanDevice::layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps, const TensorView& out) {
    if (!trust_rows("layer_norm", &SelfTest::layer_norm, rows_of_test(x))) return;
    operation("layer_norm", [=](const StepInputs&) { return move_cost(x, 2); }, [&](auto& dispatches) {
        const struct { uint32_t n; float eps; } scalars{static_cast<uint32_t>(x.cols), eps};
        dispatches.push_back(make_dispatch({Shader::layer_norm, {kRowThreads}}, {static_cast<uint32_t>(x.rows), 1, 1},
                                           {range_of(x), range_of(w), range_of(b), range_of(out)}, scalars));
    });
}

// Waits for what follows: a norm of the same rows is part of the same dispatch.
void VulkanDevice::add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) {
    note_pending();
    if (!trust_norms(rows_of_test(x))) return;
    notes_->pending = AddNorm{x, y, w, eps, scale, notes_->layer_kind, notes_->layer};
}

// The residual that waits, and with it the norm that in.norm asks for, if there is one.
void VulkanDevice::note_pending(const MatmulInput* in, bool image) {
    if (!notes_->pending) return;
    const AddNorm add = *std::exchange(notes_->pending, {});
    const auto* const kind = std::exchange(notes_->layer_kind, add.layer_kind);
    const int32_t layer = std::exchange(notes_->layer, add.layer);
    const int64_t moves = in ? 5 : 3;
    operation(in ? "add_norm+norm" : "add_norm", [=](const StepInputs&) { return move_cost(add.x, moves); }, [&](auto& dispatches) {
        const struct { uint32_t n; float eps, scale; } scalars{static_cast<uint32_t>(add.x.cols), add.eps, add.scale};
        std::vector<Range> ranges = {range_of(add.x), range_of(add.y), range_of(add.w), in ? range_of(in->norm) : Range{},
                                     in ? range_of(in->normed) : Range{}};
        if (image) ranges.push_back(image_range(add.x));
        dispatches.push_back(make_dispatch({image ? Shader::add_norm_image : Shader::add_norm, {kRowThreads, in ? 3u : 1u}},
                                           {static_cast<uint32_t>(add.x.rows), 1, 1}, std::move(ranges), scalars));
    });
    notes_->layer_kind = kind;
    notes_->layer = layer;
}

void VulkanDevice::add(const TensorView& x, const TensorView& y) {
    if (!trust_rows("add", &SelfTest::add, rows_of_test(x))) return;
    operation("add", [=](const StepInputs&) { return move_cost(x, 3); }, [&](auto& dispatches) {
        const struct { uint32_t count; float cap; } scalars{static_cast<uint32_t>(x.rows * x.cols), 0};
        dispatches.push_back(make_dispatch({Shader::add, {kRowThreads}}, {groups_of(x.rows * x.cols, kRowThreads), 1, 1},
                                           {range_of(x), range_of(y)}, scalars));
    });
}

void VulkanDevice::soft_cap(const TensorView& x, float cap) {
    if (!trust_rows("soft_cap", &SelfTest::soft_cap, rows_of_test(x))) return;
    operation("soft_cap", [=](const StepInputs&) { return move_cost(x, 2); }, [&](auto& dispatches) {
        const struct { uint32_t count; float cap; } scalars{static_cast<uint32_t>(x.rows * x.cols), cap};
        dispatches.push_back(make_dispatch({Shader::soft_cap, {kRowThreads}}, {groups_of(x.rows * x.cols, kRowThreads), 1, 1},
                                           {range_of(x)}, scalars));
    });
}

// The norm of a product's input, and with it the input's int8 image where the product wants one.
void VulkanDevice::note_norm(const MatmulInput& in, bool image) {
    notes_->image_of = {};
    notes_->in_gated = false;
    if (!in.norm) return;
    const bool waits = notes_->pending && same_rows(notes_->pending->x, in.x) && notes_->pending->eps == in.eps;
    if (waits) {
        note_pending(&in, image);
    } else if (!image) {
        rms_norm(in.x, in.norm, in.eps, in.normed);
    } else {
        operation("rms_norm", [x = in.x](const StepInputs&) { return move_cost(x, 2); }, [&](auto& dispatches) {
            const struct { uint32_t n; float eps, scale; } scalars{static_cast<uint32_t>(in.x.cols), in.eps, 1.0f};
            dispatches.push_back(make_dispatch({Shader::rms_norm_image, {kRowThreads, 1}}, {static_cast<uint32_t>(in.x.rows), 1, 1},
                                               {range_of(in.x), range_of(in.norm), range_of(in.normed), image_range(in.x)}, scalars));
        });
    }
    if (image) notes_->image_of = in.normed;
}

Range VulkanDevice::image_range(const TensorView& x) const {
    return range_of(*image_, 0, product_image_bytes(x.rows, x.cols));
}

ResultImage VulkanDevice::gated_image(const TensorView& x) const {
    return {range_of(*gated_image_, kCounterBytes, product_image_bytes(x.rows, x.cols)), range_of(*gated_image_, 0, kCounterBytes)};
}

void VulkanDevice::matmul(std::span<const MatmulPart> parts, const MatmulInput& in) {
    const TensorView& x = in.norm ? in.normed : in.x;
    OpCost cost;
    for (const MatmulPart& p : parts) {
        if (!trust_product(p.weights, x.rows, rows_together(parts, p.weights), false)) return;
        cost = cost + product_cost(p.weights, p.rows, x.rows);
    }
    const auto wants = std::find_if(parts.begin(), parts.end(), [&](const MatmulPart& p) { return products_->wants_image(p.weights, x.rows); });
    bool image = products_->leaves_images() && wants != parts.end();
    if (trust_) {
        const TensorView& weights = image ? wants->weights : parts[0].weights;
        const Reader reader = at_work(weights, x.rows, rows_together(parts, weights), false);
        if (image) reader_ = reader;
        if (in.norm) image = trust_joined_norm(in, reader, image);
        if (!outcome_) return;
    }
    const bool valid = !in.norm && same_rows(notes_->image_of, x);
    if (!valid) note_norm(in, image);
    operation(product_name(parts, in), [=](const StepInputs&) { return cost; }, [&](auto& dispatches) {
        const Range rows = valid && notes_->in_gated ? gated_image(x).image : image_range(x);
        products_->matmul(parts, x, rows, valid || (in.norm && image), dispatches);
    });
}

void VulkanDevice::gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in, const TensorView& scratch,
                                const TensorView& out, RowRange rows) {
    const TensorView& x = in.norm ? in.normed : in.x;
    const int64_t results = 2 * (rows.end_of(gate) - rows.begin);
    if (!trust_product(gate, x.rows, results, true) || !trust_product(up, x.rows, results, true)) return;
    bool image = products_->leaves_images() && products_->wants_image(gate, x.rows);
    if (trust_ && in.norm) image = trust_joined_norm(in, at_work(gate, x.rows, results, false), image);
    // Of a share of the rows there is no image of the result.
    const bool leaves = out.cols == gate.rows && trust_gated_image(gate, up, x.rows, rows);
    if (!outcome_) return;
    note_norm(in, image);
    const OpCost cost = product_cost(gate, rows, x.rows) + product_cost(up, rows, x.rows);
    operation("matmul gate+up+geglu", [=](const StepInputs&) { return cost; }, [&](auto& dispatches) {
        products_->gated_matmul(gate, up, x, image_range(x), in.norm && image, scratch, out, rows,
                                leaves ? gated_image(out) : ResultImage{}, dispatches);
    });
    notes_->in_gated = leaves;
    notes_->image_of = leaves ? out : TensorView{};
}

void VulkanDevice::note_kv(const KvView& kv) {
    notes_->tables[static_cast<size_t>(kv.kv_class)] = kv.table;
    if (kv.scratch) notes_->scratch = kv.scratch;
}

void VulkanDevice::norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles) {
    operation("norm_rope", [=](const StepInputs&) { return move_cost(q, 2); },
              [&](auto& dispatches) { note_norm_rope(q, weight, eps, angles, memory(), dispatches); });
}

void VulkanDevice::norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                                   const KvView& kv) {
    note_kv(kv);
    operation("norm_rope_store", [=](const StepInputs&) { return store_cost(kv, k.rows); },
              [&](auto& dispatches) { note_norm_rope_store(k, v, k_weight, eps, kv, memory(), dispatches); });
}

void VulkanDevice::attention(const TensorView& q, const KvView& kv, const TensorView& out) {
    note_kv(kv);
    const bool leaves = trust_attention(q, kv);
    if (!outcome_) return;
    operation("attention", [=, columns = shape_.columns](const StepInputs& in) { return attention_cost(in, columns, q, kv); },
              [&](auto& dispatches) {
                  // The image lies in place of that of q, k and v, which nobody needs behind attention.
                  note_attention(q, kv, out, memory(), dispatches, leaves ? image_range(out) : Range{});
                  notes_->in_gated = false;
                  notes_->image_of = leaves ? out : TensorView{};
              });
}

void VulkanDevice::commit_kv(const KvView& kv) {
    note_kv(kv);
    if (!trust_commit(kv)) return;
    operation("commit_kv", [=](const StepInputs& in) { return commit_cost(in, kv); },
              [&](auto& dispatches) { note_commit_kv(kv, memory(), dispatches); });
}

void VulkanDevice::top_k(const TensorView& scores, int32_t k, const TensorView& out) {
    const TopCase test{scores.cols, std::min<int64_t>(scores.rows, 2), k, inputs_.has_mask()};
    if (trust_ && !(outcome_ && trusted("top_k", trust_->top_k(test)))) return;
    if (const auto room = reserve_candidates(top_k_scratch_bytes(scores.rows, scores.cols, k)); !room) {
        outcome_ = room.error();
        return;
    }
    operation("top_k", [=](const StepInputs&) { return move_cost(scores, 1); }, [&](auto& dispatches) {
        note_top_k(scores, k, out, memory(), range_of(*candidates_, 0, candidates_->bytes), dispatches);
    });
}

}  // namespace lapidary::runtime::vulkan
