// The CPU as a Device: every operation runs at once, cut into slices for the thread pool.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/kernels.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/device.h"
#include "runtime/memory/host_access.h"

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

// How many bytes are done by now; false stops with `cancelled`.
using ByteSink = std::function<bool(int64_t done)>;

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
    const float* read(const TensorView& from) override { return host_floats(from); }

    void embed_rows(const TensorView& table, float scale, const TensorView& out) override;
    void rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) override;
    void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                    const TensorView& out) override;
    void matmul(std::span<const MatmulPart> parts, const MatmulInput& in) override;
    void gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in, const TensorView& scratch,
                      const TensorView& out) override;
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
    // The matrix, which can_pack, as panels. `progress` is told every few MB how many bytes of it are done.
    Result<Packed> pack(const TensorView& matrix, const ByteSink& progress = {});
    // Whether the matrix lies in panels that this level or mode cannot multiply; and it as rows.
    bool must_unpack(const TensorView& matrix) const;
    Result<Packed> unpack(const TensorView& matrix, const ByteSink& progress = {});

    // What the machine can do just now, all threads together, watched for so long (peak.cpp): GB/s of reading the
    // buffer (1 MiB or more) in order, again and again; int8 GMAC/s of the level's own instruction.
    double read_bandwidth(const BufferData& buffer, double seconds);
    double int8_peak(double seconds);
    const char* peak_instruction() const { return table_.peak(0).instruction; }

  private:
    // The input of a matmul in every form that its weights ask for.
    struct Input {
        TensorView rows;                    // f32
        const int8_t* q8 = nullptr;         // int8 rows, for quantised weights in rows
        const float* q8_scales = nullptr;
        kernels::PanelInput image, floats;  // for panels of quantised weights, and of bf16 and f16
    };
    enum Need : unsigned { kNothing = 0, kRowImage = 1, kPanelImage = 2, kPanelFloats = 4, kPanelBf16 = 8 };
    unsigned need(const TensorView& weights) const;
    Input prepare(const MatmulInput& in, unsigned needs);
    kernels::PanelInput reserve_image(const TensorView& x);
    void multiply(const TensorView& weights, const float* bias, const Input& in, const TensorView& out,
                  int64_t begin, int64_t end, int thread);
    void multiply_rows(const TensorView& weights, const float* bias, const Input& in, const TensorView& out,
                       int64_t begin, int64_t end, int thread);
    void multiply_panels(const TensorView& weights, const Input& in, const TensorView& out, int64_t begin, int64_t end);
    std::byte* scratch(int thread) { return host_bytes(*scratch_[static_cast<size_t>(thread)]); }
    void find_runs(const KvView& kv);
    bool split_attention(const std::vector<kernels::AttentionArgs>& tiles);  // false: not worth it, nothing done
    // Runs `move` for every panel of the matrix.
    Result<void> move_panels(const TensorView& matrix, const ByteSink& progress,
                             const std::function<void(int64_t panel)>& move);
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
    std::vector<uint16_t> bf16_;
    Buffer panel_input_;  // the int8 image of one PanelInput
    Buffer partials_;  // of attention split over blocks
    std::vector<kernels::KvRun> runs_;  // [kv head][span] of the layer that attention is at
};

}  // namespace lapidary::runtime
