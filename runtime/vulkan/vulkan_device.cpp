// The device, its memory, and steps until they are noted; see vulkan_device.h. The operations are in vulkan_operations.cpp.
#include "runtime/vulkan/vulkan_device.h"

#include <algorithm>
#include <cstring>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/select.h"
#include "runtime/cpu/make_cpu_device.h"
#include "runtime/trace/recorder.h"
#include "runtime/vulkan/vulkan_probe.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr size_t kKeptSteps = 64;  // a long prompt, its last chunk, decode, speculation of several lengths, pictures
constexpr double kRaceSeconds = 1.5;

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
    made->meetings_ = std::make_unique<Meetings>(context);
    LAP_ASSIGN(made->zeroing_queue_, Queue::create(context));
    made->zeroing_ = std::make_unique<Transfers>(*made->zeroing_queue_);
    made->weights_ = std::make_unique<VulkanWeights>(*made->transfers_, context, *products, options.shared_weights);
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
    const double seconds = options_.race_seconds.value_or(context_->facts().software ? 0 : kRaceSeconds);
    race_ = std::make_unique<Race>(*queue_, *pipelines_, *products_, *trust_, seconds);
    return {};
}

VulkanDevice::~VulkanDevice() {
    if (meetings_) meetings_->answer_all();
    if (queue_) (void)queue_->wait(last_submit_);  // of a step that nobody waited for
    forget();
    if (options_.self_test) (void)pipelines_->save();  // without it the next start compiles again, and nothing else
}

MachineProbe& VulkanDevice::probe() {
    if (!probe_) probe_ = std::make_unique<VulkanProbe>(*queue_, *pipelines_, trust_ ? &trust_->verdicts() : nullptr);
    return *probe_;
}

Result<Buffer> VulkanDevice::allocate(size_t bytes, MemoryKind kind) {
    const bool read = kind == MemoryKind::readback && context_->facts().unified;
    const Memory where = kind == MemoryKind::shared ? Memory::shared : read ? Memory::readback : Memory::device;
    constexpr const char* kNames[] = {"weights", "cache or step buffers", "results", "a cache or step buffers that the CPU shares"};
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

Result<void> VulkanDevice::download(const Buffer& from, size_t offset, std::span<std::byte> to) {
    return transfers_->download(vulkan_buffer(*from), offset, to);
}

Result<void> VulkanDevice::upload(std::span<const std::byte> from, const Buffer& to, size_t offset) {
    return transfers_->write(vulkan_buffer(*to), offset, from.size(), kTransferPiece, [&](std::byte* target, uint64_t at, uint64_t count) {
        std::memcpy(target, from.data() + at, count);
        return true;
    });
}

Result<void> VulkanDevice::fill(const Buffer& buffer, uint32_t word) { return transfers_->fill(vulkan_buffer(*buffer), word); }

// Whatever recordings name by address grows here, and then they go. What could not be zeroed is not there.
Result<void> VulkanDevice::grow(std::shared_ptr<VulkanBuffer>& buffer, uint64_t bytes, Memory kind, const char* name, Content content) {
    if (buffer && buffer->bytes >= bytes) return {};
    forget();
    if (buffer && notes_) notes_->outgrown.push_back(std::move(buffer));
    buffer.reset();
    uint64_t size = 64 << 10;
    while (size < bytes) size *= 2;
    LAP_ASSIGN(auto grown, allocate_buffer(context_, size, kind, name));
    if (content == Content::zeros) LAP_TRY(transfers_->fill(*grown, 0));
    buffer = std::move(grown);
    return {};
}

Result<void> VulkanDevice::reserve(const StepShape& shape) {
    const uint64_t block = inputs_bytes(shape) + kSegmentBytes;
    LAP_TRY(grow(block_, block, Memory::device, "inputs of a step"));
    if (!block_in_sight()) LAP_TRY(grow(upload_, block, Memory::upload, "inputs of a step"));
    const uint64_t images = product_image_bytes(shape.columns, shape.widest);
    LAP_TRY(grow(image_, images, Memory::device, "int8 rows of a step"));
    LAP_TRY(grow(gated_image_, kCounterBytes + images, Memory::device, "int8 rows between products", Content::zeros));
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

// Instead of the rest of a step: nothing of it runs any more, and what was not recorded whole, or failed, is not kept.
void VulkanDevice::drop() {
    (void)queue_->wait(last_submit_);
    if (current_ && (!replays_ || !outcome_)) {
        const auto at = std::find_if(kept_.begin(), kept_.end(), [this](const Kept& k) { return &k == current_; });
        forget(*at);
        kept_.erase(at);
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
    if (const auto idle = queue_->wait(last_submit_); !idle) return noted(idle.error());  // whoever left a step behind
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
    const uint64_t entries = inputs_bytes(shape_);
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
    kept.helps = std::move(notes.helps);
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
void VulkanDevice::abort() {
    notes_.reset();
    drop();
    watch_ = {};
}

const std::byte* VulkanDevice::read(const TensorView& from) {
    if (lost_) return nullptr;
    const auto bytes = transfers_->read(vulkan_buffer(*from.buffer), from.offset, static_cast<uint64_t>(from.bytes()));
    return bytes ? *bytes : nullptr;
}

}  // namespace lapidary::runtime::vulkan
