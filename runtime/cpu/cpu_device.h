// The CPU as a Device: every operation runs as it comes, cut into slices for the thread pool. Nothing is recorded.
#pragma once

#include <array>
#include <vector>

#include "runtime/cpu/cpu.h"
#include "runtime/cpu/cpu_probe.h"
#include "runtime/cpu/cpu_scratch.h"
#include "runtime/cpu/cpu_weights.h"
#include "runtime/device.h"
#include "runtime/memory/host_access.h"

namespace lapidary::runtime {

class CpuDevice final : public Device {
  public:
    // precise: matmul inputs stay f32; otherwise quantised weights take int8 inputs.
    // phases: how many of the threads take part in long and in short steps.
    CpuDevice(const kernels::KernelTable& table, int threads, bool precise, PhaseThreads phases = {});

    Result<Buffer> allocate(size_t bytes, MemoryKind kind) override;
    Result<void> copy(const Buffer& from, size_t from_offset, const Buffer& to, size_t to_offset, size_t bytes) override;
    Result<void> download(const Buffer& from, size_t offset, std::span<std::byte> to) override;
    Result<void> upload(std::span<const std::byte> from, const Buffer& to, size_t offset) override;
    Result<void> fill(const Buffer& buffer, uint32_t word) override;
    Result<Placed> place(const TensorView& host, Use use, const ByteSink& progress) override {
        return weights_.place(host, use, progress);
    }
    bool moves(const TensorView& host, Use use) const override { return weights_.moves(host, use); }
    KernelChoice kernels_of(const TensorView& host, Use use) const override { return weights_.kernels_of(host, use); }
    Result<Recording> begin(const StepKey& key, const StepWatch& watch) override;
    void end() override {}
    void abort() override { watch_ = {}; }
    Ticket submit() override { return 0; }
    Result<void> wait(Ticket ticket) override;
    const std::byte* read(const TensorView& from) override;
    void observe(Recorder* recorder) override;
    MachineProbe& probe() override { return probe_; }
    int threads() const { return cpu_.pool.size(); }
    bool layer(const char* kind, int32_t number) override;

    void embed_rows(const TensorView& table, Entry entry, float scale, const TensorView& out) override;
    void input_rows(Rows which, const TensorView& out, int64_t from) override;
    void rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) override;
    void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                    const TensorView& out) override;
    void matmul(std::span<const MatmulPart> parts, const MatmulInput& in) override;
    void gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in, const TensorView& scratch,
                      const TensorView& out, RowRange rows) override;
    void norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles) override;
    void norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                         const KvView& kv) override;
    void attention(const TensorView& q, const KvView& kv, const TensorView& out) override;
    void commit_kv(const KvView& kv) override;
    void add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) override;
    void add(const TensorView& x, const TensorView& y) override;
    void soft_cap(const TensorView& x, float cap) override;
    void top_k(const TensorView& scores, int32_t k, const TensorView& out) override;

    Cpu& cpu() { return cpu_; }

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
    kernels::PanelInput image_of(const TensorView& x);
    void multiply(const TensorView& weights, const TensorView& bias, const Input& in, const TensorView& out,
                  int64_t begin, int64_t end, int thread);
    void multiply_rows(const TensorView& weights, const TensorView& bias, const Input& in, const TensorView& out,
                       int64_t begin, int64_t end, int thread);
    void multiply_panels(const TensorView& weights, const Input& in, const TensorView& out, int64_t begin, int64_t end);
    std::byte* scratch(int thread) { return host_bytes(*scratch_.threads[static_cast<size_t>(thread)]); }
    void find_runs(const KvView& kv);
    bool split_attention(const std::vector<kernels::AttentionArgs>& tiles);  // false: not worth it, nothing done

    Cpu cpu_;
    CpuWeights weights_{cpu_};
    CpuProbe probe_{cpu_};
    const kernels::KernelTable& table_ = cpu_.table;
    ThreadPool& pool_ = cpu_.pool;
    CpuScratch scratch_;
    std::vector<kernels::KvRun> runs_;  // [kv head][span] of the layer that attention is at
    Recorder* recorder_ = nullptr;

    // Of the step that runs.
    Buffer block_;
    StepInputs inputs_;
    int32_t columns_ = 0;
    StepWatch watch_;
    bool stopped_ = false;
};

}  // namespace lapidary::runtime
