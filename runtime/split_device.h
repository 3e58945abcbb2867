// Two devices that share every product by rows: each matrix has a boundary, the rows in front of it are
// multiplied by the main device, the others by the helper, at the same time where the main device works
// behind the caller's back. Everything else, and all memory that is not a weight, belongs to the main device.
// Where that meets the CPU, which the helper then must be, the helper reads a product's input and writes its rows of
// the result in memory of both, in the midst of one recording of the whole step (ADR 22). Else a step is cut at every product,
// and copies cross.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/device.h"

namespace lapidary::runtime {

class SplitDevice final : public Device {
  public:
    // The first row of a matrix [rows, cols] that the helper multiplies in a step of so many columns: 0 to rows, a multiple of 16
    // unless it is `rows`. Gate and up have one shape, so also one boundary. It is one for all steps of up to
    // kernels::kFewColumns columns and one for all longer ones; these differ only where the main device places weights in memory
    // of kind shared and the helper is the CPU.
    using Boundary = std::function<int64_t(int64_t rows, int64_t cols, int64_t columns)>;

    SplitDevice(std::unique_ptr<Device> main, std::unique_ptr<Device> helper, Boundary boundary);
    ~SplitDevice() override;

    Result<Buffer> allocate(size_t bytes, MemoryKind kind) override {
        return main_->allocate(bytes, main_->meets() && kind == MemoryKind::state ? MemoryKind::shared : kind);
    }
    Result<void> copy(const Buffer& from, size_t from_offset, const Buffer& to, size_t to_offset,
                      size_t bytes) override {
        return main_->copy(from, from_offset, to, to_offset, bytes);
    }
    Result<void> download(const Buffer& from, size_t offset, std::span<std::byte> to) override { return main_->download(from, offset, to); }
    Result<void> upload(std::span<const std::byte> from, const Buffer& to, size_t offset) override { return main_->upload(from, to, offset); }
    Result<void> fill(const Buffer& buffer, uint32_t word) override { return main_->fill(buffer, word); }
    Result<Placed> place(const TensorView& host, Use use, const ByteSink& progress) override;
    bool moves(const TensorView& host, Use use) const override { return main_->moves(host, use); }
    KernelChoice kernels_of(const TensorView& host, Use use) const override {
        return main_->kernels_of(host, use);
    }
    Result<Recording> begin(const StepKey& key, const StepWatch& watch) override;
    void end() override {
        if (main_->meets()) main_->end();
    }
    void abort() override {
        if (main_->meets()) main_->abort();
        pieces_.clear();
    }
    Ticket submit() override;
    Result<void> wait(Ticket ticket) override;
    const std::byte* read(const TensorView& from) override { return main_->read(from); }
    void observe(Recorder* recorder) override;
    MachineProbe& probe() override { return main_->probe(); }
    bool layer(const char* kind, int32_t number) override;

    void embed_rows(const TensorView& table, Entry entry, float scale, const TensorView& out) override;
    void input_rows(Rows which, const TensorView& out, int64_t from) override;
    void rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) override;
    void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                    const TensorView& out) override;
    void matmul(std::span<const MatmulPart> parts, const MatmulInput& in) override;
    void gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in,
                      const TensorView& scratch, const TensorView& out, RowRange rows) override;
    void norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles) override;
    void norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                         const KvView& kv) override;
    void attention(const TensorView& q, const KvView& kv, const TensorView& out) override;
    void commit_kv(const KvView& kv) override;
    void add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps,
                  float scale) override;
    void add(const TensorView& x, const TensorView& y) override;
    void soft_cap(const TensorView& x, float cap) override;
    void top_k(const TensorView& scores, int32_t k, const TensorView& out) override;

  private:
    class SplitBuffer;
    // The helper's rows of one product: the input is read from the main device, the results go to `outs` there.
    struct Share {
        TensorView input;
        std::vector<MatmulPart> parts;  // `out` is unset; two with `gated`: gate and up
        bool gated = false;
        std::vector<TensorView> outs;   // columns of the main device's results
        TensorView scratch = {};        // and of its second product, with `gated`
        int64_t width() const;          // of all results together
    };
    // What the main device does without a look at the helper, and what the helper does while it does the last
    // of it.
    struct Piece {
        std::vector<std::function<void()>> operations;
        std::shared_ptr<const Share> takes;  // whose results it starts with
        std::shared_ptr<const Share> gives;  // for which its results are the input
        bool products = false;              // the main device's rows of `gives` of the piece before
    };

    void note(std::function<void()> operation);
    void share(std::shared_ptr<const Share> share, std::function<void()> products);
    Result<void> run_piece(size_t index);
    Result<void> run_share(const Share& share, int32_t piece);
    void multiply(const Share& share, const TensorView& x, std::span<const TensorView> outs, const TensorView& scratch);
    Result<void> run_all();
    Result<void> reserve_share(const Share& share);

    std::unique_ptr<Device> main_, helper_;
    Boundary boundary_;
    std::vector<Piece> pieces_;
    StepKey key_;
    StepWatch watch_;
    std::vector<std::byte> block_;   // the inputs as the caller fills them
    StepInputs inputs_;
    std::vector<float> input_rows_, results_;  // what crosses: [T, K] to the helper, [T, all widths] back
    struct Scratch {
        uint64_t identity = 0;
        int64_t input = 0, result = 0;  // floats
        Buffer in = {}, up = {};
        std::vector<Buffer> outs = {};
    } scratch_;                      // the helper's
    Result<void> outcome_;
    Ticket submitted_ = 0;
};

}  // namespace lapidary::runtime
