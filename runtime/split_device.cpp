// Pieces of a step between products, and what crosses; see split_device.h.
#include "runtime/split_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/try.h"
#include "kernels/panels.h"
#include "runtime/run_recorded.h"

namespace lapidary::runtime {

// A matrix whose rows lie on two devices.
class SplitDevice::SplitBuffer final : public BufferData {
  public:
    SplitBuffer(Placed main, Placed helper) : main_(std::move(main)), helper_(std::move(helper)) {}  // of all the last rows
    static const SplitBuffer* of(const TensorView& view) {
        return dynamic_cast<const SplitBuffer*>(view.buffer);
    }

    const TensorView& main() const { return main_.view; }
    // Of a range of rows the part in front of the boundary and the one behind it; empty ones end where they begin.
    static RowRange on_main(RowRange rows, int64_t all, int64_t boundary) {
        return {std::min(rows.begin, boundary), std::min(rows.end < 0 ? all : rows.end, boundary)};
    }
    static RowRange on_helper(RowRange rows, int64_t all, int64_t boundary) {
        return {std::max(rows.begin, boundary), std::max(rows.end < 0 ? all : rows.end, boundary)};
    }
    TensorView helper(RowRange rows, int64_t all) const {
        const int64_t first = all - helper_.view.rows;
        return helper_.view.row_range(rows.begin - first, rows.end - first);
    }

  private:
    Placed main_, helper_;
};

namespace {

bool is_empty(RowRange rows) { return rows.begin == rows.end; }

TensorView columns_of(TensorView view, int64_t begin, int64_t end) {
    view.offset += static_cast<size_t>(begin) * sizeof(float);
    view.cols = end - begin;
    return view;
}

}  // namespace

int64_t SplitDevice::Share::width() const {
    int64_t sum = 0;
    for (const TensorView& out : outs) sum += out.cols;
    return sum;
}

SplitDevice::SplitDevice(std::unique_ptr<Device> main, std::unique_ptr<Device> helper, Boundary boundary)
    : main_(std::move(main)), helper_(std::move(helper)), boundary_(std::move(boundary)) {}
SplitDevice::~SplitDevice() = default;

Result<Placed> SplitDevice::place(const TensorView& host, Use use, const ByteSink& progress) {
    if (use != Use::matrix) return main_->place(host, use, progress);
    const int64_t few = boundary_(host.rows, host.cols, 1), many = boundary_(host.rows, host.cols, kernels::kFewColumns + 1);
    const bool one_copy = few != many;  // of which the helper has whatever it may be asked for
    if (!one_copy && few >= host.rows) return main_->place(host, use, progress);
    const TensorView upper = host.row_range(0, one_copy ? host.rows : few);
    LAP_ASSIGN(Placed main, upper.rows > 0 ? main_->place(upper, use, progress)
                                           : Result<Placed>(Placed{nullptr, upper, false}));
    const TensorView lower = (one_copy ? main.view : host).row_range(std::min(few, many), host.rows);
    const int64_t done = upper.bytes();
    LAP_ASSIGN(Placed helper, helper_->place(lower, use, [&](int64_t part) {
        return !progress || progress(one_copy ? done : done + part);
    }));
    Placed out{nullptr, host, main.in_source || (!one_copy && helper.in_source)};
    out.memory = std::make_shared<SplitBuffer>(std::move(main), std::move(helper));
    out.view.buffer = out.memory.get();
    out.view.offset = 0;
    return out;
}

void SplitDevice::observe(Recorder* recorder) {
    main_->observe(recorder);
    helper_->observe(recorder);
}

Result<Recording> SplitDevice::begin(const StepKey& key, const StepWatch& watch) {
    if (main_->meets()) {
        const StepKey products{.shape = {.kind = StepKind::rows, .columns = key.shape.columns, .widest = key.shape.widest}};
        LAP_TRY(helper_->begin(products, {}));
        return main_->begin(key, watch);
    }
    block_.resize(StepInputs::bytes(key.shape) + 64);
    const auto address = reinterpret_cast<uintptr_t>(block_.data());
    inputs_ = StepInputs(block_.data() + (64 - address % 64) % 64, key.shape);
    key_ = key;
    watch_ = watch;
    pieces_.assign(1, {});
    return Recording{inputs_, false};
}

Ticket SplitDevice::submit() {
    if (main_->meets()) return main_->submit();
    outcome_ = run_all();
    pieces_.clear();
    return ++submitted_;
}

Result<void> SplitDevice::wait(Ticket ticket) { return main_->meets() ? main_->wait(ticket) : outcome_; }

void SplitDevice::note(std::function<void()> operation) {
    if (main_->meets()) return operation();
    pieces_.back().operations.push_back(std::move(operation));
}

// The pieces of the main device run one after the other; the last but one of each product runs beside the
// helper.
Result<void> SplitDevice::run_all() {
    for (size_t i = 0; i < pieces_.size(); ++i) LAP_TRY(run_piece(i));
    return {};
}

Result<void> SplitDevice::run_piece(size_t index) {
    const Piece& piece = pieces_[index];
    StepKey key = key_;
    key.piece = static_cast<int32_t>(index);
    if (index > 0) key.shape.row_width = piece.takes ? static_cast<int32_t>(piece.takes->width()) : 0;
    LAP_ASSIGN(const Recording recording, main_->begin(key, watch_));
    inputs_.copy_to(recording.inputs);
    if (index == 0 && key.shape.row_width > 0)
        std::copy_n(inputs_.rows(), int64_t{key.shape.columns} * key.shape.row_width, recording.inputs.rows());
    if (piece.takes) std::copy(results_.begin(), results_.end(), recording.inputs.rows());
    if (!recording.replays) {
        int64_t from = 0;
        if (piece.takes)
            for (const TensorView& out : piece.takes->outs) {
                main_->input_rows(Rows::all, out, from);
                from += out.cols;
            }
        for (const auto& operation : piece.operations) operation();
        main_->end();
    }
    const Ticket ticket = main_->submit();
    if (piece.products) {
        Result<void> helped;
        try {
            helped = run_share(*piece.gives, key.piece);
        } catch (...) {
            (void)main_->wait(ticket);
            throw;
        }
        if (!helped) {
            (void)main_->wait(ticket);  // it must not run on into the next step
            return helped;
        }
    }
    LAP_TRY(main_->wait(ticket));
    if (piece.gives && !piece.products) {
        const TensorView& x = piece.gives->input;
        LAP_ASSIGN(const float* values, read_floats(*main_, x));
        input_rows_.assign(values, values + x.rows * x.cols);
    }
    return {};
}

Result<void> SplitDevice::reserve_share(const Share& share) {
    const int64_t columns = share.input.rows;
    int64_t widest = 0;
    for (const TensorView& out : share.outs) widest = std::max(widest, out.cols);
    if (scratch_.input >= columns * share.input.cols && scratch_.result >= columns * widest &&
        scratch_.outs.size() >= share.outs.size())
        return {};
    const auto bytes = [](int64_t floats) { return static_cast<size_t>(floats) * sizeof(float); };
    Scratch grown{.identity = new_identity(),
                  .input = std::max(scratch_.input, columns * share.input.cols),
                  .result = std::max(scratch_.result, columns * widest)};
    grown.outs.resize(std::max(scratch_.outs.size(), share.outs.size()));
    LAP_ASSIGN(grown.in, helper_->allocate(bytes(grown.input), MemoryKind::state));
    LAP_ASSIGN(grown.up, helper_->allocate(bytes(grown.result), MemoryKind::state));
    for (Buffer& out : grown.outs) {
        LAP_ASSIGN(out, helper_->allocate(bytes(grown.result), MemoryKind::readback));
    }
    scratch_ = std::move(grown);
    return {};
}

// By the helper, which computes at once or notes it.
void SplitDevice::multiply(const Share& share, const TensorView& x, std::span<const TensorView> outs, const TensorView& scratch) {
    if (share.gated) return helper_->gated_matmul(share.parts[0].weights, share.parts[1].weights, x, scratch, outs[0], {});
    std::vector<MatmulPart> parts = share.parts;
    for (size_t i = 0; i < parts.size(); ++i) parts[i].out = outs[i];
    helper_->matmul(parts, x);
}

Result<void> SplitDevice::run_share(const Share& share, int32_t piece) {
    LAP_TRY(reserve_share(share));
    const int64_t columns = share.input.rows, k = share.input.cols;
    StepKey key{.shape = {.kind = StepKind::rows,
                          .columns = static_cast<int32_t>(columns),
                          .row_width = static_cast<int32_t>(k),
                          .widest = static_cast<int32_t>(k)},
                .first_layer = key_.first_layer,
                .last_layer = key_.last_layer,
                .piece = piece,
                .weights = key_.weights,
                .workspace = scratch_.identity};
    LAP_ASSIGN(const Recording recording, helper_->begin(key, {}));
    std::copy(input_rows_.begin(), input_rows_.end(), recording.inputs.rows());
    std::vector<TensorView> outs;
    for (size_t i = 0; i < share.outs.size(); ++i)
        outs.push_back(view(scratch_.outs[i], Format::f32, columns, share.outs[i].cols));
    if (!recording.replays) {
        const TensorView x = view(scratch_.in, Format::f32, columns, k);
        helper_->input_rows(Rows::all, x, 0);
        multiply(share, x, outs, view(scratch_.up, Format::f32, columns, outs[0].cols));
        helper_->end();
    }
    LAP_TRY(helper_->wait(helper_->submit()));
    results_.resize(static_cast<size_t>(columns * share.width()));
    int64_t from = 0;
    for (const TensorView& out : outs) {
        LAP_ASSIGN(const float* values, read_floats(*helper_, out));
        for (int64_t t = 0; t < columns; ++t)
            std::copy_n(values + t * out.cols, out.cols, results_.data() + t * share.width() + from);
        from += out.cols;
    }
    return {};
}

void SplitDevice::share(std::shared_ptr<const Share> share, std::function<void()> products) {
    if (main_->meets()) {
        Help help{[this, share] { multiply(*share, share->input, share->outs, share->scratch); }, share->input, share->outs};
        if (share->gated) help.outs.push_back(share->scratch);
        main_->give(help);
        products();
        return main_->take();
    }
    pieces_.back().gives = share;
    Piece mine;
    mine.operations.push_back(std::move(products));
    mine.gives = share;
    mine.products = true;
    pieces_.push_back(std::move(mine));
    Piece next;
    next.takes = std::move(share);
    pieces_.push_back(std::move(next));
}

void SplitDevice::matmul(std::span<const MatmulPart> parts, const MatmulInput& in) {
    auto helps = std::make_shared<Share>();
    std::vector<MatmulPart> mine;
    for (const MatmulPart& p : parts) {
        const SplitBuffer* split = SplitBuffer::of(p.weights);
        if (!split) {
            mine.push_back(p);
            continue;
        }
        const int64_t all = p.weights.rows, boundary = boundary_(all, p.weights.cols, in.x.rows);
        const RowRange main = SplitBuffer::on_main(p.rows, all, boundary), other = SplitBuffer::on_helper(p.rows, all, boundary);
        if (!is_empty(main)) mine.push_back({split->main(), p.out, p.bias, main, p.name});
        if (is_empty(other)) continue;
        helps->parts.push_back({split->helper(other, all), {}, {}, {}, p.name});
        helps->outs.push_back(columns_of(p.out, other.begin, other.end));
    }
    if (helps->parts.empty()) return note([this, mine, in] { main_->matmul(mine, in); });
    helps->input = in.norm ? in.normed : in.x;
    if (in.norm) note([this, in] { main_->rms_norm(in.x, in.norm, in.eps, in.normed); });
    share(helps, [this, mine, x = helps->input] {
        if (!mine.empty()) main_->matmul(mine, x);
    });
}

void SplitDevice::gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in,
                               const TensorView& scratch, const TensorView& out, RowRange rows) {
    const SplitBuffer *g = SplitBuffer::of(gate), *u = SplitBuffer::of(up);
    if (!g || !u)
        return note([=, this] { main_->gated_matmul(gate, up, in, scratch, out, rows); });
    const int64_t all = gate.rows, boundary = boundary_(all, gate.cols, in.x.rows);
    const RowRange main = SplitBuffer::on_main(rows, all, boundary), other = SplitBuffer::on_helper(rows, all, boundary);
    if (is_empty(other))
        return note([=, this, gm = g->main(), um = u->main()] {
            main_->gated_matmul(gm, um, in, scratch, out, main);
        });
    auto helps = std::make_shared<Share>();
    helps->gated = true;
    helps->input = in.norm ? in.normed : in.x;
    helps->parts = {{g->helper(other, all), {}, {}, {}, "gate"}, {u->helper(other, all), {}, {}, {}, "up"}};
    helps->outs = {columns_of(out, other.begin, other.end)};
    helps->scratch = columns_of(scratch, other.begin, other.end);
    if (in.norm) note([this, in] { main_->rms_norm(in.x, in.norm, in.eps, in.normed); });
    share(helps, [=, this, gm = g->main(), um = u->main(), x = helps->input] {
        if (!is_empty(main)) main_->gated_matmul(gm, um, x, scratch, out, main);
    });
}

bool SplitDevice::layer(const char* kind, int32_t number) {
    note([=, this] { main_->layer(kind, number); });
    return true;
}
void SplitDevice::embed_rows(const TensorView& table, Entry entry, float scale, const TensorView& out) {
    note([=, this] { main_->embed_rows(table, entry, scale, out); });
}
void SplitDevice::input_rows(Rows which, const TensorView& out, int64_t from) {
    note([=, this] { main_->input_rows(which, out, from); });
}
void SplitDevice::rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) {
    note([=, this] { main_->rms_norm(x, w, eps, out); });
}
void SplitDevice::layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                             const TensorView& out) {
    note([=, this] { main_->layer_norm(x, w, b, eps, out); });
}
void SplitDevice::norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles) {
    note([=, this] { main_->norm_rope(q, weight, eps, angles); });
}
void SplitDevice::norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight,
                                  float eps, const KvView& kv) {
    note([=, this] { main_->norm_rope_store(k, v, k_weight, eps, kv); });
}
void SplitDevice::attention(const TensorView& q, const KvView& kv, const TensorView& out) {
    note([=, this] { main_->attention(q, kv, out); });
}
void SplitDevice::commit_kv(const KvView& kv) {
    note([=, this] { main_->commit_kv(kv); });
}
void SplitDevice::add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps,
                           float scale) {
    note([=, this] { main_->add_norm(x, y, w, eps, scale); });
}
void SplitDevice::add(const TensorView& x, const TensorView& y) {
    note([=, this] { main_->add(x, y); });
}
void SplitDevice::soft_cap(const TensorView& x, float cap) {
    note([=, this] { main_->soft_cap(x, cap); });
}
void SplitDevice::top_k(const TensorView& scores, int32_t k, const TensorView& out) {
    note([=, this] { main_->top_k(scores, k, out); });
}

}  // namespace lapidary::runtime
