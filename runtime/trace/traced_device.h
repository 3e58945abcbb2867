// A device that tells a Recorder about every operation and passes it on to the device that computes. In use
// only while somebody profiles or traces; otherwise the forward pass talks to the computing device itself.
#pragma once

#include "runtime/device.h"
#include "runtime/trace/recorder.h"

namespace lapidary::runtime {

class TracedDevice final : public Device {
  public:
    TracedDevice(Device& inner, Recorder& recorder) : inner_(inner), recorder_(recorder) {}

    Result<Buffer> allocate(size_t bytes) override { return inner_.allocate(bytes); }
    bool replay(const StepShape& shape, const StepParams& params) override { return inner_.replay(shape, params); }
    void begin(const StepShape& shape, const StepParams& params) override;
    void end() override { inner_.end(); }
    Ticket submit() override { return inner_.submit(); }
    Result<void> wait(Ticket ticket) override { return inner_.wait(ticket); }
    void write(const TensorView& to, const float* values) override { inner_.write(to, values); }
    const float* read(const TensorView& from) override { return inner_.read(from); }
    void label(const char* layer, int32_t index) override { recorder_.layer(layer, index); }

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

  private:
    struct Cost {
        uint64_t bytes = 0;
        double macs = 0;
    };
    template <class Operation>
    void traced(std::string_view name, const Cost& cost, const Operation& operation);
    static Cost product_cost(const TensorView& weights, int64_t rows, int64_t columns);
    Cost attention_cost(const TensorView& q, const KvView& kv) const;

    Device& inner_;
    Recorder& recorder_;
    const StepParams* params_ = nullptr;
};

}  // namespace lapidary::runtime
