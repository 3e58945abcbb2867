// A device that is nothing like the host, over the kernels of the CPU: its memory has no host address, operations are
// only noted and run at submit, recordings are replayed, inputs are poisoned after use and memory when it is freed. What
// works here with the bits of the CPU keeps the rules of runtime/device.h; the seam's own oracle.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cpu/cpu_device.h"
#include "runtime/device.h"

namespace lapidary::test {

// A mistake put in on purpose, to show that tests see it.
enum class FarFault : uint8_t {
    none,
    stale_inputs,       // a replay reads the block of its run before
    stale_rows,         // a replay forgets the rows that the host gives
    key_without_cache,  // a recording made with one cache serves another
    baked_segments,     // a recording keeps the memory that the cache had when it was made
};

// What happens to devices that share it, in the order in which they are made.
struct FarTrouble {
    std::vector<int64_t> lost_at;          // the i-th device is lost at this submit of its own, counted from 1; 0: never
    std::vector<int64_t> lost_at_read;     // or when this read of its own would bring something back
    std::atomic<int64_t> no_memory_at{0};  // this allocation of all of them fails, counted from 1; 0: none does
    std::atomic<int64_t> allocations{0};
    size_t devices = 0;
};

class FarDevice final : public runtime::Device {
  public:
    FarDevice(const kernels::KernelTable& table, int threads, bool precise, FarFault fault = FarFault::none,
              std::shared_ptr<FarTrouble> trouble = {});
    ~FarDevice() override;

    struct Counts {
        int64_t recordings = 0, replays = 0, reads = 0;
        int64_t submits() const { return recordings + replays; }
    };
    const Counts& counts() const { return counts_; }

    Result<runtime::Buffer> allocate(size_t bytes, runtime::MemoryKind kind) override;
    Result<void> copy(const runtime::Buffer& from, size_t from_offset, const runtime::Buffer& to, size_t to_offset,
                      size_t bytes) override;
    Result<void> download(const runtime::Buffer& from, size_t offset, std::span<std::byte> to) override;
    Result<void> upload(std::span<const std::byte> from, const runtime::Buffer& to, size_t offset) override;
    Result<void> fill(const runtime::Buffer& buffer, uint32_t word) override;
    Result<runtime::Placed> place(const runtime::TensorView& host, runtime::Use use,
                                  const runtime::ByteSink& progress) override;
    bool moves(const runtime::TensorView&, runtime::Use) const override { return true; }
    runtime::KernelChoice kernels_of(const runtime::TensorView& host, runtime::Use use) const override {
        return inner_.kernels_of(host, use);
    }
    Result<runtime::Recording> begin(const runtime::StepKey& key, const runtime::StepWatch& watch) override;
    void end() override;
    void abort() override;
    runtime::Ticket submit() override;
    Result<void> wait(runtime::Ticket ticket) override;
    const std::byte* read(const runtime::TensorView& from) override;
    void observe(runtime::Recorder* recorder) override { inner_.observe(recorder); }
    runtime::MachineProbe& probe() override { return probe_; }
    bool layer(const char* kind, int32_t number) override;

    void embed_rows(const runtime::TensorView& table, runtime::Entry entry, float scale,
                    const runtime::TensorView& out) override;
    void input_rows(Rows which, const runtime::TensorView& out, int64_t from) override;
    void rms_norm(const runtime::TensorView& x, const runtime::TensorView& w, float eps,
                  const runtime::TensorView& out) override;
    void layer_norm(const runtime::TensorView& x, const runtime::TensorView& w, const runtime::TensorView& b, float eps,
                    const runtime::TensorView& out) override;
    void matmul(std::span<const runtime::MatmulPart> parts, const runtime::MatmulInput& in) override;
    void gated_matmul(const runtime::TensorView& gate, const runtime::TensorView& up, const runtime::MatmulInput& in,
                      const runtime::TensorView& scratch, const runtime::TensorView& out,
                      runtime::RowRange rows) override;
    void norm_rope(const runtime::TensorView& q, const runtime::TensorView& weight, float eps,
                   runtime::KvClass angles) override;
    void norm_rope_store(const runtime::TensorView& k, const runtime::TensorView& v,
                         const runtime::TensorView& k_weight, float eps, const runtime::KvView& kv) override;
    void attention(const runtime::TensorView& q, const runtime::KvView& kv, const runtime::TensorView& out) override;
    void commit_kv(const runtime::KvView& kv) override;
    void add_norm(const runtime::TensorView& x, const runtime::TensorView& y, const runtime::TensorView& w, float eps,
                  float scale) override;
    void add(const runtime::TensorView& x, const runtime::TensorView& y) override;
    void soft_cap(const runtime::TensorView& x, float cap) override;
    void top_k(const runtime::TensorView& scores, int32_t k, const runtime::TensorView& out) override;

  private:
    struct Step {  // a recording
        runtime::StepKey key;
        std::vector<std::function<void()>> operations;  // on inner_
        std::vector<std::byte> inputs;                  // of its last run
    };
    struct Memory;  // whose freed buffers nobody may read
    class FarBuffer;

    runtime::TensorView inner(const runtime::TensorView& far);
    runtime::Buffer inner(const runtime::Buffer& far);
    std::function<runtime::KvView()> inner(const runtime::KvView& far);
    runtime::Buffer wrap(runtime::Buffer inner_buffer);
    void note(std::function<void()> operation) { open_->operations.push_back(std::move(operation)); }
    Step* find(const runtime::StepKey& key);
    Result<void> count_allocation(size_t bytes);  // or its failure

    std::shared_ptr<Memory> memory_;
    runtime::CpuDevice inner_;
    class Probe final : public runtime::MachineProbe {
      public:
        explicit Probe(FarDevice& device) : device_(device) {}
        double read_bandwidth(const runtime::Buffer& buffer, double seconds) override;
        double int8_peak(double seconds) override { return device_.inner_.probe().int8_peak(seconds); }
        const char* peak_instruction() const override { return device_.inner_.probe().peak_instruction(); }

      private:
        FarDevice& device_;
    } probe_{*this};
    FarFault fault_;
    std::shared_ptr<FarTrouble> trouble_;
    int64_t lost_at_ = 0, lost_at_read_ = 0;
    std::atomic<bool> lost_{false};
    Counts counts_;

    std::deque<Step> steps_;        // kept recordings, oldest first
    std::unique_ptr<Step> open_;    // being noted
    Step* current_ = nullptr;       // to be submitted
    bool replays_ = false;
    runtime::StepWatch watch_;
    runtime::Buffer uploads_[2];    // the blocks that the host writes
    int turn_ = 0;
    runtime::StepInputs upload_;
    runtime::Ticket submitted_ = 0, waited_ = 0;
    Result<void> outcome_;
    std::string misuse_;            // the first rule that the caller broke
    std::deque<std::vector<std::byte>> reads_;
};

}  // namespace lapidary::test
