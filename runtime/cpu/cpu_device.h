// The CPU as a Device: every operation runs at once, cut into slices for the thread pool.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "kernels/kernels.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/device.h"

namespace lapidary::runtime {

// Position of a format or class in the kernel table and in StepParams.
template <class Enum>
constexpr size_t index(Enum e) {
    return static_cast<size_t>(e);
}

// A matrix in panels and the memory it lies in.
struct Packed {
    Buffer buffer;
    TensorView view;
};

// Threads of each kind of step; 0: all there are.
struct PhaseThreads {
    int prefill = 0, decode = 0;
};
inline constexpr int32_t kDecodeColumns = 8;  // up to here the bandwidth is the limit, not the arithmetic

class CpuDevice final : public Device {
  public:
    // precise: matmul inputs stay f32; otherwise quantised weights take int8 inputs.
    // phases: how many of the threads take part in long and in short steps.
    CpuDevice(const kernels::KernelTable& table, int threads, bool precise, PhaseThreads phases = {});

    Result<Buffer> allocate(size_t bytes) override;
    bool replay(const StepShape&, const StepParams&) override { return false; }
    void begin(const StepShape& shape, const StepParams& params) override;
    void end() override {}
    Ticket submit() override { return 0; }
    Result<void> wait(Ticket) override { return {}; }
    void write(const TensorView& to, const float* values) override;
    const float* read(const TensorView& from) override { return from.f32(); }

    void embed_rows(const TensorView& table, float scale, const TensorView& out) override;
    void rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) override;
    void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                    const TensorView& out) override;
    void matmul(std::span<const MatmulPart> parts, const TensorView& x) override;
    void geglu(const TensorView& gate, const TensorView& up, const TensorView& out) override;
    void norm_rope(const TensorView& q, const TensorView& weight, float eps, const RopeTable& rope) override;
    void norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                         const RopeTable& rope, const KvView& kv) override;
    void attention(const TensorView& q, const KvView& kv, const TensorView& out) override;
    void commit_kv(const KvView& kv) override;
    void add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) override;
    void add(const TensorView& x, const TensorView& y) override;
    void soft_cap(const TensorView& x, float cap) override;

    int threads() const { return pool_.size(); }
    void observe(PhaseObserver* observer) { pool_.observe(observer); }

    // Whether this level multiplies the matrix faster in panels (never in precise mode).
    bool can_pack(const TensorView& matrix) const;
    // The matrix, which can_pack, as panels.
    Result<Packed> pack(const TensorView& matrix);

    // GB/s at which all threads together read the buffer once, in order.
    double read_bandwidth(const BufferData& buffer);

  private:
    struct Quantised {  // int8 image of a matmul's input, for weights in rows
        const int8_t* values = nullptr;
        const float* scales = nullptr;
    };
    Quantised quantise(const TensorView& x);
    std::byte* reserve_panel_input(int64_t bytes);
    kernels::PanelInput quantise_for_panels(const TensorView& x);
    kernels::PanelInput floats_for_panels(const TensorView& x, Format format);
    void row_slice(const MatmulPart& part, const TensorView& x, const Quantised& q8, int64_t begin, int64_t end,
                   int thread);
    void panel_slice(const MatmulPart& part, const kernels::PanelInput& x, int64_t begin, int64_t end);
    std::byte* scratch(int thread) { return scratch_[static_cast<size_t>(thread)]->host; }
    using KvRuns = std::array<kernels::KvRun, kMaxSpans>;
    KvRuns kv_runs(const KvView& kv) const;
    bool split_attention(const std::vector<kernels::AttentionArgs>& tiles);  // false: not worth it, nothing done
    void reserve_scratch(int64_t bytes);
    void reserve(Buffer& buffer, int64_t bytes);  // makes room; what was in it may be lost

    const kernels::KernelTable& table_;
    bool precise_;
    PhaseThreads phases_;
    ThreadPool pool_;
    const StepParams* params_ = nullptr;
    std::vector<Buffer> scratch_;  // one per thread
    std::vector<int8_t> q8_;
    std::vector<float> q8_scales_;
    Buffer panel_input_;  // of one PanelInput
    Buffer partials_;  // of attention split over blocks
};

}  // namespace lapidary::runtime
