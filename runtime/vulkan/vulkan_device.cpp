// Steps from begin to wait; see vulkan_device.h. The operations are in vulkan_operations.cpp.
#include "runtime/vulkan/vulkan_device.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/select.h"
#include "runtime/cpu/make_cpu_device.h"
#include "runtime/trace/recorder.h"
#include "runtime/vulkan/vulkan_probe.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr size_t kKeptSteps = 64;  // a long prompt, its last chunk, decode, speculation of several lengths, pictures
constexpr uint64_t kSegmentBytes = 2 * kMaxSpans * sizeof(SegmentEntry);
constexpr int32_t kLongStep = 16;  // columns; what a shorter step attends to is read in far less than a piece's time
// What a device does before its own steps were measured: an integrated GPU of some years ago.
constexpr double kBytesPerSecond = 30e9, kMacsPerSecond = 300e9, kSecondsPerOperation = 5e-6;
constexpr double kRaceSeconds = 1.5;
constexpr size_t kInFlight = 2;    // pieces on the queue: one runs, one waits

int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

uint64_t aligned(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

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

VulkanDevice::VulkanDevice(std::shared_ptr<Context> context, const VulkanOptions& options, std::shared_ptr<Pipelines> pipelines,
                           std::shared_ptr<Products> products)
    : context_(std::move(context)), options_(options), pipelines_(std::move(pipelines)), products_(std::move(products)) {}

Result<std::unique_ptr<VulkanDevice>> VulkanDevice::create(const std::shared_ptr<Context>& context, const VulkanOptions& options,
                                                           const std::shared_ptr<Pipelines>& pipelines,
                                                           const std::shared_ptr<Products>& products) {
    auto made = std::unique_ptr<VulkanDevice>(new VulkanDevice(context, options, pipelines, products));
    LAP_ASSIGN(made->queue_, Queue::create(context));
    made->transfers_ = std::make_unique<Transfers>(*made->queue_);
    LAP_ASSIGN(made->zeroing_queue_, Queue::create(context));
    made->zeroing_ = std::make_unique<Transfers>(*made->zeroing_queue_);
    made->weights_ = std::make_unique<VulkanWeights>(*made->transfers_, context, *products);
    made->probe_ = std::make_unique<VulkanProbe>(*made->queue_, *pipelines, nullptr);
    return made;
}

Result<std::unique_ptr<VulkanDevice>> VulkanDevice::create(std::shared_ptr<Context> context, const VulkanOptions& options) {
    std::filesystem::path cache;
    if (!options.cache_folder.empty())
        cache = options.cache_folder / std::filesystem::path(verdict_file_name(context->facts())).replace_extension(".pipelines");
    LAP_ASSIGN(const std::shared_ptr<Pipelines> pipelines, Pipelines::create(context, std::move(cache)));
    pipelines->warm();  // while weights are loaded
    const auto products = std::make_shared<Products>(context->facts(), options.precise);
    LAP_ASSIGN(auto made, create(context, options, pipelines, products));
    if (options.self_test) LAP_TRY(made->make_trust());
    return made;
}

Result<void> VulkanDevice::make_trust() {
    tested_ = std::make_shared<Products>(context_->facts(), options_.precise);
    VulkanOptions plain = options_;
    plain.self_test = false;
    LAP_ASSIGN(std::unique_ptr<Device> tester, create(context_, plain, pipelines_, tested_));
    CpuSettings cpu;
    cpu.level = kernels::select("ref", nullptr);
    cpu.threads = {1, 1};
    cpu.precise = options_.precise;
    LAP_ASSIGN(auto reference, make_cpu_device(cpu, {}));
    cpu.precise = true;
    LAP_ASSIGN(auto exact, make_cpu_device(cpu, {}));
    std::filesystem::path file;
    if (!options_.cache_folder.empty()) file = options_.cache_folder / verdict_file_name(context_->facts());
    trust_ = std::make_unique<Trust>(std::move(tester), std::move(reference), std::move(exact),
                                     Verdicts::open(std::move(file), context_->facts()), tested_);
    probe_ = std::make_unique<VulkanProbe>(*queue_, *pipelines_, &trust_->verdicts());
    const double seconds = options_.race_seconds.value_or(context_->facts().software ? 0 : kRaceSeconds);
    race_ = std::make_unique<Race>(*queue_, *pipelines_, *products_, *trust_, seconds);
    return {};
}

VulkanDevice::~VulkanDevice() {
    (void)queue_->wait(last_submit_);  // of a step that nobody waited for
    forget();
    if (options_.self_test) (void)pipelines_->save();  // without it the next start compiles again, and nothing else
}

MachineProbe& VulkanDevice::probe() { return *probe_; }

Result<Buffer> VulkanDevice::allocate(size_t bytes, MemoryKind kind) {
    const bool read = kind == MemoryKind::readback && context_->facts().unified;
    const Memory where = kind == MemoryKind::shared ? Memory::shared : read ? Memory::readback : Memory::device;
    constexpr const char* kNames[] = {"weights", "cache or step buffers", "results", "a cache that the CPU shares"};
    LAP_ASSIGN(auto buffer, allocate_buffer(context_, (bytes + 3) / 4 * 4, where, kNames[static_cast<size_t>(kind)]));
    if (buffer->mapped() && buffer->block().coherent) {
        std::memset(buffer->mapped(), 0, buffer->bytes);
    } else {
        const std::lock_guard guard(zeroing_lock_);
        LAP_TRY(zeroing_->fill(*buffer, 0));
    }
    return Buffer(std::move(buffer));
}

Result<void> VulkanDevice::copy(const Buffer& from, size_t from_offset, const Buffer& to, size_t to_offset, size_t bytes) {
    return transfers_->copy(vulkan_buffer(*from), from_offset, vulkan_buffer(*to), to_offset, bytes);
}

Result<void> VulkanDevice::fill(const Buffer& buffer, uint32_t word) { return transfers_->fill(vulkan_buffer(*buffer), word); }

// Whatever recordings name by address grows here, and then they go.
Result<void> VulkanDevice::grow(std::shared_ptr<VulkanBuffer>& buffer, uint64_t bytes, Memory kind, const char* name) {
    if (buffer && buffer->bytes >= bytes) return {};
    forget();
    if (buffer && notes_) notes_->outgrown.push_back(std::move(buffer));
    buffer.reset();
    uint64_t size = 64 << 10;
    while (size < bytes) size *= 2;
    LAP_ASSIGN(buffer, allocate_buffer(context_, size, kind, name));
    return {};
}

Result<void> VulkanDevice::reserve(const StepShape& shape) {
    const uint64_t block = aligned(StepInputs::bytes(shape)) + kSegmentBytes;
    LAP_TRY(grow(block_, block, Memory::device, "inputs of a step"));
    if (!block_in_sight()) LAP_TRY(grow(upload_, block, Memory::upload, "inputs of a step"));
    const uint64_t images = product_image_bytes(shape.columns, shape.widest);
    LAP_TRY(grow(image_, images, Memory::device, "int8 rows of a step"));
    const auto* const before = gated_image_.get();
    LAP_TRY(grow(gated_image_, kCounterBytes + images, Memory::device, "int8 rows between products"));
    if (gated_image_.get() != before) LAP_TRY(transfers_->fill(*gated_image_, 0));
    return grow(partials_, attention_scratch_bytes(shape), Memory::device, "partial results of attention");
}

// How much is known only when the scores are.
Result<void> VulkanDevice::reserve_candidates(uint64_t bytes) {
    return grow(candidates_, bytes, Memory::device, "candidates of a step");
}

// Whether the host writes inputs where the device reads them.
bool VulkanDevice::block_in_sight() const { return block_->mapped() && block_->block().coherent; }

void VulkanDevice::forget(Kept& kept) {
    kept.step.reset();
    if (kept.timestamps) context_->vk().vkDestroyQueryPool(context_->device(), kept.timestamps, nullptr);
    kept.timestamps = VK_NULL_HANDLE;
}

void VulkanDevice::forget() {
    for (Kept& kept : kept_) forget(kept);
    kept_.clear();
    current_ = nullptr;
}

// Instead of the rest of a step: nothing of it runs any more, and what was not recorded whole is not kept.
void VulkanDevice::drop() {
    (void)queue_->wait(last_submit_);
    if (current_ && !replays_) {
        forget(kept_.back());
        kept_.pop_back();
    }
    current_ = nullptr;
}

void VulkanDevice::observe(Recorder* recorder) {
    if ((recorder != nullptr) != (recorder_ != nullptr)) forget();  // timestamps are part of a recording
    recorder_ = recorder;
    if (recorder_ && context_->facts().timestamp_bits == 0)
        recorder_->misses(concat("the queue of ", context_->facts().name, " tells no times, so its operations are in no profile and no trace"));
}

VulkanDevice::Kept* VulkanDevice::find(const StepKey& key) {
    const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.key == key; });
    return found == kept_.end() ? nullptr : &*found;
}

const Error& VulkanDevice::noted(const Error& error) {
    lost_ = lost_ || error.code == Errc::device_lost;
    return error;
}

Result<Recording> VulkanDevice::begin(const StepKey& key, const StepWatch& watch) {
    weights_->rest();
    transfers_->forget_reads();
    if (const auto room = reserve(key.shape); !room) return noted(room.error());
    shape_ = key.shape;
    watch_ = watch;
    stopped_ = false;
    thrown_ = nullptr;
    outcome_ = {};
    inputs_ = StepInputs(block_in_sight() ? block_->mapped() : upload_->mapped(), key.shape);
    current_ = find(key);
    replays_ = current_ != nullptr;
    notes_.reset();
    if (!replays_) {
        notes_ = std::make_unique<Notes>();
        notes_->key = key;
    }
    return Recording{inputs_, replays_};
}

StepMemory VulkanDevice::memory() const {
    StepMemory m;
    m.inputs = &inputs_;
    m.columns = shape_.columns;
    m.block = range_of(*block_, 0, block_->bytes);
    const uint64_t entries = aligned(StepInputs::bytes(shape_));
    for (size_t c = 0; c < 2; ++c)
        m.segments[c] = range_of(*block_, entries + c * kSegmentBytes / 2, kSegmentBytes / 2);
    m.partials = range_of(*partials_, 0, partials_->bytes);
    if (context_->facts().software) m.attention_tile = 2;
    return m;
}

void VulkanDevice::end() {
    note_pending();
    Notes& notes = *notes_;
    if (kept_.size() == kKeptSteps) {
        forget(kept_.front());
        kept_.pop_front();
    }
    Kept kept;  // among the others once it is whole
    kept.key = notes.key;
    kept.layers = std::move(notes.layers);
    kept.operations = std::move(notes.operations);
    std::copy(std::begin(notes.tables), std::end(notes.tables), kept.tables);
    kept.scratch = notes.scratch;
    kept.outgrown = std::move(notes.outgrown);
    if (recorder_ && context_->facts().timestamp_bits > 0) {
        VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
        info.queryType = VK_QUERY_TYPE_TIMESTAMP;
        info.queryCount = static_cast<uint32_t>(kept.operations.size()) + 2;
        const VkResult r = context_->vk().vkCreateQueryPool(context_->device(), &info, nullptr, &kept.timestamps);
        if (r != VK_SUCCESS) outcome_ = failure("no timestamps", r);
    }
    cut_pieces(kept, std::move(notes.dispatches));
    notes_.reset();
    kept_.push_back(std::move(kept));
    current_ = &kept_.back();
}

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
    kept.seconds = std::accumulate(seconds.begin(), seconds.end(), 0.0);
    RecordingOptions options;
    options.barrier_everywhere = options_.barrier_everywhere;
    options.omit_barrier = options_.omit_barrier;
    options.find_hazards = options_.find_hazards;
    options.timestamps = kept.timestamps;
    kept.piece_ends = cut(seconds, options_.piece_seconds / pace_);
    kept.step = std::make_unique<RecordedStep>(*queue_, *pipelines_, std::move(dispatches), kept.piece_ends, options);
    kept.step->label(labels_of(kept.operations));
    kept.piece_ends.push_back(kept.step->dispatches().size());
    if (!block_in_sight()) {
        const uint64_t bytes = aligned(StepInputs::bytes(shape_)) + kSegmentBytes;
        kept.step->copy_before({upload_->block().buffer, block_->block().buffer, {upload_->offset(), block_->offset(), bytes}});
    }
}

// A long step that is replayed further down its sequence has more to attend to: its pieces would outgrow their limit.
void VulkanDevice::cut_again(Kept& kept) {
    constexpr double kGrown = 1.5;
    const auto dispatches = kept.step->dispatches();
    const std::vector<double> seconds = seconds_of(kept.operations, dispatches);
    if (std::accumulate(seconds.begin(), seconds.end(), 0.0) > kGrown * kept.seconds)
        cut_pieces(kept, {dispatches.begin(), dispatches.end()});
}

void VulkanDevice::abort() {
    notes_.reset();
    drop();
    watch_ = {};
}

void VulkanDevice::write_segments(const Kept& kept) {
    auto* entries = reinterpret_cast<std::byte*>(&inputs_.position()) + aligned(StepInputs::bytes(shape_));
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
    if (outcome_) outcome_ = submit_pieces(kept);
    if (!outcome_) drop();
    ++(replays_ ? counts_.replays : counts_.recordings);
    return ++ticket_;
}

Result<void> VulkanDevice::submit_pieces(Kept& kept) {
    std::vector<uint64_t> tickets;
    size_t mark = 0;
    for (size_t i = 0; i < kept.step->pieces(); ++i) {
        if (tickets.size() >= kInFlight) LAP_TRY(queue_->wait(tickets[tickets.size() - kInFlight]));
        for (; mark < kept.layers.size() && kept.layers[mark].dispatch < kept.piece_ends[i]; ++mark)
            if (watch_ && !stopped_ && kept.layers[mark].layer >= 0) ask(kept.layers[mark].layer);
        if (stopped_) break;
        const int64_t start = now_ns();
        LAP_ASSIGN(const VkCommandBuffer commands, kept.step->piece(i));
        LAP_ASSIGN(const uint64_t submitted, queue_->submit(commands));
        tickets.push_back(submitted);
        last_submit_ = submitted;
        ++counts_.submits;
        counts_.host_seconds += static_cast<double>(now_ns() - start) * 1e-9;
    }
    counts_.dispatches += static_cast<int64_t>(kept.step->dispatches().size());
    counts_.barriers += static_cast<int64_t>(kept.step->barriers());
    return {};
}

// What a watch throws is for wait() to throw, when the GPU is done with what was submitted.
void VulkanDevice::ask(int32_t layer) {
    try {
        stopped_ = !watch_(layer);
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

const std::byte* VulkanDevice::read(const TensorView& from) {
    if (lost_) return nullptr;
    const auto bytes = transfers_->read(vulkan_buffer(*from.buffer), from.offset, static_cast<uint64_t>(from.bytes()));
    return bytes ? *bytes : nullptr;
}

}  // namespace lapidary::runtime::vulkan
