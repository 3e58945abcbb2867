// Notes, submits, replays; see far_device.h.
#include "tests/support/far/far_device.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/try.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::test {

using namespace runtime;

namespace {

constexpr size_t kKeptSteps = 256;  // of a step that is cut into pieces there are many
constexpr size_t kKeptFreedBytes = size_t{256} << 20;
constexpr auto kPoison = std::byte{0xFF};       // NaN in f32, f16 and bf16, -1 in ids
constexpr auto kInputPoison = std::byte{0xA5};  // a huge negative id

Error lost() { return {Errc::device_lost, "the far device does not answer"}; }

}  // namespace

// Freed memory stays for a while, full of NaN, so that a recording that still names it gives NaN and not a
// crash.
struct FarDevice::Memory {
    std::mutex lock;  // sessions end on any thread
    std::deque<Buffer> freed;
    size_t bytes = 0;

    void take(Buffer buffer) {
        const std::lock_guard guard(lock);
        std::fill_n(host_bytes(*buffer), buffer->bytes, kPoison);
        bytes += buffer->bytes;
        freed.push_back(std::move(buffer));
        while (bytes > kKeptFreedBytes && freed.size() > 1) {
            bytes -= freed.front()->bytes;
            freed.pop_front();
        }
    }
};

class FarDevice::FarBuffer final : public BufferData {
  public:
    FarBuffer(std::shared_ptr<Memory> memory, Buffer inner)
        : memory_(std::move(memory)), inner_(std::move(inner)) {
        bytes = inner_->bytes;  // and no address
    }
    ~FarBuffer() override { memory_->take(std::move(inner_)); }
    const Buffer& inner() const { return inner_; }

  private:
    std::shared_ptr<Memory> memory_;
    Buffer inner_;
};

FarDevice::FarDevice(const kernels::KernelTable& table, int threads, bool precise, FarFault fault,
                     std::shared_ptr<FarTrouble> trouble)
    : memory_(std::make_shared<Memory>()), inner_(table, threads, precise), fault_(fault), trouble_(std::move(trouble)) {
    if (!trouble_) return;
    const size_t number = trouble_->devices++;
    if (number < trouble_->lost_at.size()) lost_at_ = trouble_->lost_at[number];
    if (number < trouble_->lost_at_read.size()) lost_at_read_ = trouble_->lost_at_read[number];
}
FarDevice::~FarDevice() = default;

Buffer FarDevice::wrap(Buffer inner_buffer) {
    return std::make_shared<FarBuffer>(memory_, std::move(inner_buffer));
}

Buffer FarDevice::inner(const Buffer& far) {
    const auto* buffer = dynamic_cast<const FarBuffer*>(far.get());
    if (far && !buffer && misuse_.empty()) misuse_ = "a buffer of the host was given to an operation";
    return buffer ? buffer->inner() : nullptr;
}

TensorView FarDevice::inner(const TensorView& far) {
    TensorView out = far;
    if (!far) return out;
    const auto* buffer = dynamic_cast<const FarBuffer*>(far.buffer);
    if (!buffer && misuse_.empty()) misuse_ = "memory of the host was given to an operation";
    out.buffer = buffer ? buffer->inner().get() : nullptr;
    return out;
}

Result<void> FarDevice::count_allocation(size_t bytes) {
    if (lost_) return lost();
    if (trouble_ && ++trouble_->allocations == trouble_->no_memory_at)
        return Error{Errc::out_of_memory, "no " + std::to_string(bytes) + " bytes are free far away"};
    return {};
}

Result<Buffer> FarDevice::allocate(size_t bytes, MemoryKind kind) {
    LAP_TRY(count_allocation(bytes));
    if (kind == MemoryKind::shared)
        return Error{Errc::device_unavailable, "the far device has no memory that the CPU sees too"};
    LAP_ASSIGN(Buffer buffer, inner_.allocate(bytes, kind));
    return wrap(std::move(buffer));
}

Result<void> FarDevice::copy(const Buffer& from, size_t from_offset, const Buffer& to, size_t to_offset,
                             size_t bytes) {
    if (open_) misuse_ = "copy() while a step is being noted";
    if (lost_) return lost();
    return inner_.copy(inner(from), from_offset, inner(to), to_offset, bytes);
}

Result<void> FarDevice::download(const Buffer& from, size_t offset, std::span<std::byte> to) {
    if (open_) misuse_ = "download() while a step is being noted";
    if (lost_) return lost();
    return inner_.download(inner(from), offset, to);
}

Result<void> FarDevice::upload(std::span<const std::byte> from, const Buffer& to, size_t offset) {
    if (open_) misuse_ = "upload() while a step is being noted";
    if (lost_) return lost();
    return inner_.upload(from, inner(to), offset);
}

Result<void> FarDevice::fill(const Buffer& buffer, uint32_t word) {
    if (lost_) return lost();
    return inner_.fill(inner(buffer), word);
}

Result<Placed> FarDevice::place(const TensorView& host, Use use, const ByteSink& progress) {
    LAP_TRY(count_allocation(static_cast<size_t>(host.bytes())));
    LAP_ASSIGN(Placed placed, inner_.place(host, use, progress));
    if (!placed.memory) {  // rows in their source: these are copied
        const auto row = static_cast<size_t>(kernels::row_bytes(host.format, host.cols));
        LAP_ASSIGN(placed.memory, allocate_host(static_cast<size_t>(host.rows) * row));
        for (int64_t r = 0; r < host.rows; ++r)
            std::memcpy(host_bytes(*placed.memory) + static_cast<size_t>(r) * row,
                        host_bytes(host) + r * host.row_bytes, row);
        placed.view.offset = 0;
        placed.view.row_bytes = static_cast<int64_t>(row);
        if (progress && !progress(host.bytes())) return Error{Errc::cancelled, "placing was stopped"};
    }
    placed.memory = wrap(std::move(placed.memory));
    placed.view.buffer = placed.memory.get();
    placed.in_source = false;
    return placed;
}

FarDevice::Step* FarDevice::find(const StepKey& key) {
    for (Step& step : steps_) {
        StepKey known = step.key;
        if (fault_ == FarFault::key_without_cache) known.cache = key.cache;
        if (known == key) return &step;
    }
    return nullptr;
}

Result<Recording> FarDevice::begin(const StepKey& key, const StepWatch& watch) {
    if (open_) misuse_ = "begin() while a step is being noted";
    if (lost_) return lost();
    const size_t bytes = StepInputs::bytes(key.shape);
    Buffer& upload = uploads_[turn_ ^= 1];
    if (!upload || upload->bytes < bytes) {
        LAP_TRY(count_allocation(bytes));
        LAP_ASSIGN(upload, allocate_host(bytes));
    }
    std::fill_n(host_bytes(*upload), upload->bytes, kInputPoison);
    for (auto& bytes_read : reads_) std::fill(bytes_read.begin(), bytes_read.end(), kPoison);
    if (reads_.size() > 64) reads_.clear();
    upload_ = StepInputs(host_bytes(*upload), key.shape);
    watch_ = watch;
    current_ = find(key);
    replays_ = current_ != nullptr;
    if (!replays_) open_ = std::make_unique<Step>(Step{key, {}, {}});
    return Recording{upload_, replays_};
}

void FarDevice::end() {
    if (!open_) return void(misuse_ = "end() without begin()");
    if (steps_.size() == kKeptSteps) steps_.pop_front();
    steps_.push_back(std::move(*open_));
    open_.reset();
    current_ = &steps_.back();
}

void FarDevice::abort() {
    open_.reset();
    current_ = nullptr;
}

Ticket FarDevice::submit() {
    if (!current_) misuse_ = "submit() without a step";
    if (!misuse_.empty()) {
        outcome_ = Error{Errc::device_unavailable, misuse_};
        return ++submitted_;
    }
    (replays_ ? counts_.replays : counts_.recordings)++;
    if (counts_.submits() == lost_at_) lost_ = true;
    if (lost_) {
        current_ = nullptr;
        outcome_ = lost();
        return ++submitted_;
    }
    Step& step = *std::exchange(current_, nullptr);
    const StepShape& shape = step.key.shape;
    const auto began = inner_.begin(step.key, watch_);
    std::byte* const upload = host_bytes(*uploads_[turn_]);
    if (!began) {
        outcome_ = began.error();
    } else {
        auto* const block = reinterpret_cast<std::byte*>(&began->inputs.position());
        if (!replays_ || fault_ != FarFault::stale_inputs)
            step.inputs.assign(upload, upload + StepInputs::bytes(shape));
        const bool no_rows = replays_ && fault_ == FarFault::stale_rows && shape.row_width > 0;
        if (no_rows)
            upload_.copy_to(began->inputs);
        else
            std::copy(step.inputs.begin(), step.inputs.end(), block);
        for (const auto& operation : step.operations) operation();
        outcome_ = inner_.wait(inner_.submit());
    }
    std::fill_n(upload, uploads_[turn_]->bytes, kInputPoison);
    return ++submitted_;
}

Result<void> FarDevice::wait(Ticket ticket) {
    if (ticket != submitted_) return Error{Errc::device_unavailable, "wait() for a step that is not the last"};
    waited_ = ticket;
    return outcome_;
}

const std::byte* FarDevice::read(const TensorView& from) {
    if (++counts_.reads == lost_at_read_) lost_ = true;
    if (lost_) return nullptr;
    const TensorView view = inner(from);
    const auto row = static_cast<size_t>(kernels::row_bytes(view.format, view.cols));
    auto& out = reads_.emplace_back(static_cast<size_t>(view.rows) * row, kPoison);
    if (waited_ != submitted_ || !view) return out.data();
    for (int64_t r = 0; r < view.rows; ++r)
        std::memcpy(out.data() + static_cast<size_t>(r) * row, host_bytes(view) + r * view.row_bytes, row);
    return out.data();
}

double FarDevice::Probe::read_bandwidth(const Buffer& buffer, double seconds) {
    return device_.inner_.probe().read_bandwidth(device_.inner(buffer), seconds);
}

}  // namespace lapidary::test
