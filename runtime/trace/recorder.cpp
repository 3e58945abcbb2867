// Bookkeeping of operations and phases; the file format is in chrome_trace.cpp.
#include "runtime/trace/recorder.h"

#include <algorithm>
#include <chrono>

namespace lapidary::runtime {
namespace {

double seconds(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

}  // namespace

int64_t Recorder::now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

void Recorder::clear_totals() { totals_.clear(); }

uint32_t Recorder::name_of(std::string_view text) {
    if (const auto known = name_index_.find(text); known != name_index_.end()) return known->second;
    names_.emplace_back(text);
    const auto index = static_cast<uint32_t>(names_.size() - 1);
    name_index_.emplace(text, index);
    return index;
}

void Recorder::add(int16_t track, uint32_t name, int64_t begin_ns, int64_t end_ns) {
    if (events_.size() < max_events_)
        events_.push_back({begin_ns, end_ns - begin_ns, name, track, static_cast<int16_t>(layer_)});
    else
        ++dropped_;
}

// A layer lasts from its first operation to its last.
void Recorder::layer(const char* kind, int32_t index) {
    if (layer_begin_ns_ > 0) add(0, name_of(layer_kind_), layer_begin_ns_, layer_end_ns_);
    layer_kind_ = kind;
    layer_ = index;
    layer_begin_ns_ = 0;
}

void Recorder::begin(std::string_view op, int64_t at_ns) {
    if (!on_) return;
    OpTotals& totals = totals_[{std::string(op), layer_kind_}];
    if (totals.count == 0) {
        totals.op = op;
        totals.layer = layer_kind_;
    }
    current_ = &totals;
    current_name_ = name_of(op);
    op_begin_ns_ = at_ns;
    has_phases_ = false;
    if (layer_begin_ns_ == 0) layer_begin_ns_ = op_begin_ns_;
}

void Recorder::end(const OpCost& cost, int64_t at_ns) {
    if (!current_) return;
    ++current_->count;
    current_->seconds += seconds(at_ns - op_begin_ns_);
    current_->bytes += cost.bytes;
    current_->macs += cost.macs;
    if (!has_phases_) add(1, current_name_, op_begin_ns_, at_ns);
    current_ = nullptr;
    layer_end_ns_ = at_ns;
}

void Recorder::phase(const PhaseTimes& times) {
    if (!current_) return;  // a phase of loading, or of a probe
    has_phases_ = true;
    current_->wait_seconds += seconds(times.end_ns - times.threads[0].end_ns);
    for (size_t t = 0; t < times.threads.size(); ++t) {
        const ThreadTimes& thread = times.threads[t];
        const int64_t busy_ns = thread.items > 0 ? thread.end_ns - thread.begin_ns : 0;
        if (t > 0) current_->idle_seconds += seconds(times.end_ns - times.begin_ns - busy_ns);
        if (thread.items > 0) add(static_cast<int16_t>(t + 1), current_name_, thread.begin_ns, thread.end_ns);
    }
}

std::vector<OpTotals> Recorder::totals() const {
    std::vector<OpTotals> out;
    for (const auto& [key, totals] : totals_)
        if (totals.count > 0) out.push_back(totals);
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    return out;
}

Recorder& Recorders::of(const std::string& device) {
    for (const Named& r : recorders_)
        if (r.device == device) return *r.recorder;
    return *recorders_.emplace_back(Named{device, std::make_unique<Recorder>(max_events_)}).recorder;
}

void Recorders::enable(bool on) {
    for (const Named& r : recorders_) r.recorder->enable(on);
}

void Recorders::clear_totals() {
    for (const Named& r : recorders_) r.recorder->clear_totals();
}

std::vector<OpTotals> Recorders::totals() const {
    std::vector<OpTotals> out;
    for (const Named& r : recorders_)
        for (OpTotals& t : r.recorder->totals()) {
            if (recorders_.size() > 1) t.device = r.device;
            out.push_back(std::move(t));
        }
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    return out;
}

size_t Recorders::events() const {
    size_t sum = 0;
    for (const Named& r : recorders_) sum += r.recorder->events();
    return sum;
}

uint64_t Recorders::dropped_events() const {
    uint64_t sum = 0;
    for (const Named& r : recorders_) sum += r.recorder->dropped_events();
    return sum;
}

std::string Recorders::missing() const {
    for (const Named& r : recorders_)
        if (!r.recorder->missing().empty()) return r.recorder->missing();
    return {};
}

}  // namespace lapidary::runtime
