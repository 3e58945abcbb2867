// What a device did and when: totals per operation and kind of layer for tables, and single events for a trace
// file. Fed by the device that executes (operations) and the thread pool (phases), both on the thread that drives the device;
// devices may work at the same time, each with a recorder of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lapidary/result.h"
#include "runtime/op_cost.h"
#include "runtime/trace/phases.h"

namespace lapidary::runtime {

// All calls of one operation in one kind of layer.
struct OpTotals {
    std::string op, layer;      // "matmul q", "sliding"
    std::string device = {};    // where several are recorded
    uint64_t count = 0;
    double seconds = 0;         // of the caller, waiting included
    uint64_t bytes = 0;         // weights in source format, cache rows; elsewhere activations
    double macs = 0;            // multiply-adds
    double wait_seconds = 0;    // the caller at barriers, until the slowest worker was done
    double idle_seconds = 0;    // all workers together: not yet awake, or already out of work
};

class Recorder final : public PhaseObserver {
  public:
    // Keeps at most max_events single events; what comes later is only counted.
    explicit Recorder(size_t max_events) : max_events_(max_events) {}

    // While off, nothing is recorded.
    void enable(bool on) { on_ = on; }
    void clear_totals();

    void layer(const char* kind, int32_t index);  // of the operations that follow; index -1: outside the layers
    void begin(std::string_view op) { begin(op, now_ns()); }
    void end(const OpCost& cost) { end(cost, now_ns()); }
    // By whoever measured: nanoseconds of the steady clock.
    void begin(std::string_view op, int64_t at_ns);
    void end(const OpCost& cost, int64_t at_ns);
    static int64_t now_ns();
    void phase(const PhaseTimes& times) override;

    // By a device that cannot tell when its operations ran: why they are missing here.
    void misses(std::string why) { missing_ = std::move(why); }
    const std::string& missing() const { return missing_; }  // empty: nothing is

    std::vector<OpTotals> totals() const;  // most seconds first
    size_t events() const { return events_.size(); }
    uint64_t dropped_events() const { return dropped_; }

  private:
    friend class Recorders;
    struct Event {
        int64_t begin_ns, duration_ns;
        uint32_t name;         // index of names_
        int16_t track, layer;  // track 0: layers, t + 1: thread t; operations without phases are the caller's, thread 0
    };
    void add(int16_t track, uint32_t name, int64_t begin_ns, int64_t end_ns);
    uint32_t name_of(std::string_view text);

    size_t max_events_;
    bool on_ = true;
    std::string missing_;
    std::map<std::pair<std::string, std::string>, OpTotals> totals_;
    std::vector<Event> events_;
    uint64_t dropped_ = 0;
    std::vector<std::string> names_;
    std::map<std::string, uint32_t, std::less<>> name_index_;

    const char* layer_kind_ = "";
    int32_t layer_ = -1;
    int64_t layer_begin_ns_ = 0, layer_end_ns_ = 0;  // of the operations since the label
    OpTotals* current_ = nullptr;                    // the operation that is running
    uint32_t current_name_ = 0;
    int64_t op_begin_ns_ = 0;
    bool has_phases_ = false;                        // the operation that is running
};

// Of the devices of an engine, by name.
class Recorders {
  public:
    explicit Recorders(size_t max_events) : max_events_(max_events) {}  // of each device

    Recorder& of(const std::string& device);  // made when it is first asked for; stays where it is
    void enable(bool on);
    void clear_totals();
    std::vector<OpTotals> totals() const;  // most seconds first
    size_t events() const;
    uint64_t dropped_events() const;
    std::string missing() const;           // of the first device that misses operations

    // The events in the JSON form that Chrome's tracer and Perfetto open: a process per device, there a track for layers and one
    // per thread.
    Result<void> write_trace(const std::filesystem::path& file);

  private:
    struct Named {
        std::string device;
        std::unique_ptr<Recorder> recorder;
    };
    size_t max_events_;
    std::vector<Named> recorders_;
};

// One operation, as long as it lives. Without a recorder neither its name nor its cost is computed. Names and costs
// are functions; a name may also be a text.
template <class Cost>
class Recorded {
  public:
    Recorded(Recorder* recorder, const char* name, const Cost& cost) : recorder_(recorder), cost_(cost) {
        if (recorder_) recorder_->begin(name);
    }
    template <class Name>
    Recorded(Recorder* recorder, const Name& name, const Cost& cost) : recorder_(recorder), cost_(cost) {
        if (recorder_) recorder_->begin(name());
    }
    ~Recorded() {
        if (recorder_) recorder_->end(cost_());
    }
    Recorded(const Recorded&) = delete;
    Recorded& operator=(const Recorded&) = delete;

  private:
    Recorder* recorder_;
    const Cost cost_;
};

}  // namespace lapidary::runtime
