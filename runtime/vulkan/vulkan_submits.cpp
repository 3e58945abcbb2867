// Steps once they are noted: cut into pieces, submitted, waited for, told; see vulkan_device.h.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/trace/recorder.h"
#include "runtime/vulkan/vulkan_device.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr int32_t kLongStep = 16;  // columns; what a shorter step attends to is read in far less than a piece's time
// What a device does before its own steps were measured: an integrated GPU of some years ago.
constexpr double kBytesPerSecond = 30e9, kMacsPerSecond = 300e9, kSecondsPerOperation = 5e-6;
constexpr size_t kInFlight = 2;    // pieces on the queue: one runs, one waits

int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Work of a step in pieces of at most `limit` estimated seconds, cut between operations. The first ends early, so that the
// GPU begins while the rest is recorded.
std::vector<size_t> cut(const std::vector<double>& seconds, double limit) {
    std::vector<size_t> cuts;
    double in_piece = 0;
    for (size_t i = 0; i < seconds.size(); ++i) {
        const double most = cuts.empty() ? limit / 4 : limit;
        if (in_piece > 0 && in_piece + seconds[i] > most) {
            cuts.push_back(i);
            in_piece = 0;
        }
        in_piece += seconds[i];
    }
    return cuts;
}

}  // namespace

// Estimated seconds of every dispatch, with the inputs as they are: an even share of its operation's.
std::vector<double> VulkanDevice::seconds_of(const std::vector<Operation>& operations, std::span<const Dispatch> dispatches) const {
    std::vector<double> shares(operations.size(), 0.0), out;
    for (const Dispatch& d : dispatches) shares[d.operation] += 1;
    for (size_t i = 0; i < operations.size(); ++i) {
        const OpCost c = operations[i].cost(inputs_);
        const double seconds = static_cast<double>(c.bytes) / kBytesPerSecond + c.macs / kMacsPerSecond + kSecondsPerOperation;
        shares[i] = seconds / std::max(1.0, shares[i]);
    }
    for (const Dispatch& d : dispatches) out.push_back(shares[d.operation]);
    return out;
}

// "layer 3 sliding", "input"
std::vector<OperationLabel> VulkanDevice::labels_of(const std::vector<Operation>& operations) const {
    std::vector<OperationLabel> labels;
    if (!context_->has_labels()) return labels;
    for (const Operation& o : operations)
        labels.push_back({o.layer < 0 ? o.layer_kind : concat("layer ", o.layer, " ", o.layer_kind), o.name});
    return labels;
}

void VulkanDevice::cut_pieces(Kept& kept, std::vector<Dispatch> dispatches) {
    const std::vector<double> seconds = seconds_of(kept.operations, dispatches);
    RecordingOptions options;
    options.barrier_everywhere = options_.barrier_everywhere;
    options.omit_barrier = options_.omit_barrier;
    options.find_hazards = options_.find_hazards;
    options.timestamps = kept.timestamps;
    options.meetings = meetings_.get();
    const std::vector<size_t> ends = cut(seconds, options_.piece_seconds / pace_);
    std::vector<size_t> cuts;  // takes too
    std::vector<Kept::Submit> submits;
    for (size_t i = 1; i < dispatches.size(); ++i) {
        const bool ends_here = std::binary_search(ends.begin(), ends.end(), i);
        if (!ends_here && dispatches[i].meeting != Meeting::take) continue;
        cuts.push_back(i);
        if (ends_here) submits.push_back({i, cuts.size()});
    }
    submits.push_back({dispatches.size(), cuts.size() + 1});
    auto step = std::make_unique<RecordedStep>(*queue_, *pipelines_, std::move(dispatches), std::move(cuts), options);
    step->label(labels_of(kept.operations));
    if (!block_in_sight()) {
        const uint64_t bytes = inputs_bytes(shape_) + kSegmentBytes;
        step->copy_before({upload_->block().buffer, block_->block().buffer, {upload_->offset(), block_->offset(), bytes}});
    }
    kept.seconds = std::accumulate(seconds.begin(), seconds.end(), 0.0);  // together: memory may run out above
    kept.submits = std::move(submits);
    kept.step = std::move(step);
}

// A long step that is replayed further down its sequence has more to attend to: its pieces would outgrow their limit.
void VulkanDevice::cut_again(Kept& kept) {
    constexpr double kGrown = 1.5;
    const auto dispatches = kept.step->dispatches();
    const std::vector<double> seconds = seconds_of(kept.operations, dispatches);
    if (std::accumulate(seconds.begin(), seconds.end(), 0.0) > kGrown * kept.seconds)
        cut_pieces(kept, {dispatches.begin(), dispatches.end()});
}

void VulkanDevice::write_segments(const Kept& kept) {
    auto* entries = reinterpret_cast<std::byte*>(&inputs_.position()) + inputs_bytes(shape_);
    for (size_t c = 0; c < 2; ++c) {
        SegmentEntry table[kMaxSpans] = {};
        if (kept.tables[c]) {
            const auto& segments = kept.tables[c]->segments;
            for (size_t i = 0; i < segments.size() && i < kMaxSpans; ++i)
                if (segments[i].buffer)
                    table[i] = {vulkan_buffer(*segments[i].buffer).address(), static_cast<uint32_t>(segments[i].rows)};
        }
        if (c == static_cast<size_t>(KvClass::window) && kept.scratch && kept.scratch->buffer)
            table[kScratchSegment] = {vulkan_buffer(*kept.scratch->buffer).address(), static_cast<uint32_t>(kept.scratch->rows)};
        std::memcpy(entries + c * kSegmentBytes / 2, table, sizeof table);
    }
}

Ticket VulkanDevice::submit() {
    Kept& kept = *current_;
    began_ns_ = now_ns();
    write_segments(kept);
    if (replays_ && shape_.columns > kLongStep) cut_again(kept);
    if (outcome_)
        ask([&] {  // memory may run out while others wait on the queue already
            outcome_ = submit_pieces(kept);
            return !stopped_;
        });
    if (!outcome_ || stopped_) meetings_->answer_all();  // what is on the queue already must end
    if (!outcome_) drop();
    ++(replays_ ? counts_.replays : counts_.recordings);
    return ++ticket_;
}

Result<void> VulkanDevice::submit_pieces(Kept& kept) {
    std::vector<uint64_t> tickets;
    size_t mark = 0, helped = 0, taken = 0, piece = 0;
    LAP_TRY(meetings_->reset(kept.helps.size()));
    for (size_t i = 0; i < kept.submits.size(); ++i) {
        if (i >= kInFlight) {
            LAP_TRY(help(kept, helped, kept.submits[i - kInFlight].dispatch_end));  // else that one waits for ever
            if (!stopped_) LAP_TRY(queue_->wait(tickets[i - kInFlight]));
        }
        for (; mark < kept.layers.size() && kept.layers[mark].dispatch < kept.submits[i].dispatch_end; ++mark)
            if (const int32_t layer = kept.layers[mark].layer; watch_ && !stopped_ && layer >= 0) ask([&] { return watch_(layer); });
        if (stopped_) break;
        const int64_t start = now_ns();
        for (; piece < kept.submits[i].piece_end; ++piece) {
            LAP_ASSIGN(const VkCommandBuffer commands, kept.step->piece(piece));
            // Not several in one call: drivers were seen (lavapipe 26.1) to begin none of them before the last may.
            const auto part = kept.step->takes(piece) ? meetings_->awaiting(commands, taken++) : Queue::Part{commands};
            LAP_ASSIGN(last_submit_, queue_->submit(part));
            ++counts_.submits;
        }
        tickets.push_back(last_submit_);
        counts_.host_seconds += static_cast<double>(now_ns() - start) * 1e-9;
    }
    LAP_TRY(help(kept, helped, kept.submits.back().dispatch_end));
    counts_.dispatches += static_cast<int64_t>(kept.step->dispatches().size());
    counts_.barriers += static_cast<int64_t>(kept.step->barriers());
    return {};
}

// What the CPU does for the submits that end here, each time as soon as the GPU has come there.
Result<void> VulkanDevice::help(const Kept& kept, size_t& helped, size_t end) {
    for (; !stopped_ && helped < kept.helps.size() && kept.helps[helped].dispatch < end; ++helped) {
        const HelpMark& mark = kept.helps[helped];
        if (recorder_) {
            recorder_->layer(mark.layer_kind, mark.layer);
            recorder_->begin("wait for the GPU");
        }
        LAP_TRY(meetings_->wait_for_gpu(helped, *queue_, last_submit_));
        if (recorder_) recorder_->end({});
        ask([&] { return mark.run(), true; });
        LAP_TRY(meetings_->answer(helped));
    }
    return {};
}

// What a watch or a help throws is for wait() to throw, when the GPU is done with what was submitted.
void VulkanDevice::ask(const std::function<bool()>& go_on) {
    try {
        stopped_ = !go_on();
    } catch (...) {
        thrown_ = std::current_exception();
        stopped_ = true;
    }
}

Result<void> VulkanDevice::wait(Ticket ticket) {
    watch_ = {};
    if (ticket != ticket_) return Error{Errc::internal, "wait() for a step that is not the last"};
    const auto done = queue_->wait(last_submit_);
    if (!outcome_) return noted(outcome_.error());
    if (!done) return noted(done.error());
    if (stopped_) {
        drop();
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
        return Error{Errc::cancelled, "stopped on request"};
    }
    const double seconds = static_cast<double>(now_ns() - began_ns_) * 1e-9;
    if (current_->seconds > 0 && replays_) pace_ = 0.5 * pace_ + 0.5 * std::clamp(seconds / current_->seconds, 0.01, 1000.0);
    if (recorder_) report(*current_);
    return {};
}

// Timestamps of every operation, on the host's clock from the moment of the submit.
void VulkanDevice::report(const Kept& kept) {
    if (!kept.timestamps || kept.operations.empty()) return;
    std::vector<uint64_t> stamps(kept.operations.size() + 1);
    const VkResult r = context_->vk().vkGetQueryPoolResults(
        context_->device(), kept.timestamps, 0, static_cast<uint32_t>(stamps.size()), stamps.size() * sizeof(uint64_t),
        stamps.data(), sizeof(uint64_t), VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    if (r != VK_SUCCESS) return;
    const double period = context_->facts().limits.timestampPeriod;
    const auto at = [&](size_t i) {
        return began_ns_ + static_cast<int64_t>(static_cast<double>(stamps[i] - stamps[0]) * period);
    };
    int32_t layer = -2;
    for (size_t i = 0; i < kept.operations.size(); ++i) {
        const Operation& op = kept.operations[i];
        if (op.layer != layer || layer == -1) recorder_->layer(op.layer_kind, op.layer);
        layer = op.layer;
        recorder_->begin(op.name, at(i));
        recorder_->end(op.cost(inputs_), at(i + 1));
    }
}

}  // namespace lapidary::runtime::vulkan
