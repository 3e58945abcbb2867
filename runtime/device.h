// Where CPU and GPU meet: about 14 operations on views. The CPU executes each at once; a recording device
// replays what it recorded for the same StepShape. What changes from step to step lies in StepParams,
// never in an operation's arguments. Operations cannot fail; wait() reports what went wrong.
#pragma once

#include <cstdint>
#include <span>

#include "lapidary/result.h"
#include "runtime/kv.h"
#include "runtime/tensor.h"

namespace lapidary::runtime {

struct StepParams {
    int32_t columns = 0;               // T, tokens of this step
    int32_t position = 0;              // of column 0
    const int32_t* ids = nullptr;      // [T]; negative: the row is written by the caller
    KvStep kv[2];                      // by KvClass
    // Visible positions [first, last) of column t, by KvClass. Full causal: first 0, last position + t + 1.
    const int32_t* first[2] = {};      // [T]
    const int32_t* last[2] = {};       // [T]
};

struct StepShape {
    int32_t columns = 0;
    int32_t rows_wanted = 0;
    bool operator==(const StepShape&) const = default;
};

// One weight matrix of a matmul. Writes rows [row_begin, row_end) of the output: out[t][row_begin..row_end).
struct MatmulPart {
    TensorView weights;        // [R, K]
    TensorView out;            // [T, R] f32
    const float* bias = nullptr;  // [R]; not with panels
    int64_t row_begin = 0, row_end = -1;  // -1: all rows; with panels multiples of 16
    const char* name = "";     // "q", "gate", ...: for profiles
};

// What a matmul multiplies: the rows of x [T, K], or, with a norm weight, rms_norm(x) * norm. The normed rows
// are then written to `normed` [T, K].
struct MatmulInput {
    MatmulInput(const TensorView& rows) : x(rows) {}  // implicit: most products take rows as they are
    MatmulInput(const TensorView& rows, const TensorView& weight, float epsilon, const TensorView& scratch)
        : x(rows), norm(weight), normed(scratch), eps(epsilon) {}

    TensorView x, norm, normed;
    float eps = 0;
};
inline constexpr size_t kMaxParts = 4;  // matrices of one matmul

// Angles of this step's columns: cosine and sine [T][pairs] f32.
struct RopeTable {
    TensorView cosine, sine;
};

using Ticket = uint64_t;

class Device {
  public:
    virtual ~Device() = default;

    // Zeroed memory, 64-byte aligned. out_of_memory names the size.
    virtual Result<Buffer> allocate(size_t bytes) = 0;

    // True: the step with this shape was recorded before and has been replayed with the new params.
    virtual bool replay(const StepShape& shape, const StepParams& params) = 0;
    virtual void begin(const StepShape& shape, const StepParams& params) = 0;
    virtual void end() = 0;
    virtual Ticket submit() = 0;
    virtual Result<void> wait(Ticket ticket) = 0;

    virtual void write(const TensorView& to, const float* values) = 0;  // [rows, cols] f32 from the host
    virtual const float* read(const TensorView& from) = 0;              // after wait(); valid until the next step
    // Where the operations that follow belong, for profiles: a kind of layer ("sliding"; a string that lives for
    // ever) and its number, -1 outside the layers.
    virtual void label(const char* /*layer*/, int32_t /*index*/) {}

    // out[t] = table[ids[t]] * scale, for ids >= 0.
    virtual void embed_rows(const TensorView& table, float scale, const TensorView& out) = 0;
    virtual void rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) = 0;
    virtual void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                            const TensorView& out) = 0;
    // Up to kMaxParts matrices against the same input.
    virtual void matmul(std::span<const MatmulPart> parts, const MatmulInput& in) = 0;
    // out = gelu_tanh(gate x) * (up x), [T, R]; `scratch` [T, R] holds the second product.
    virtual void gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in,
                              const TensorView& scratch, const TensorView& out) = 0;
    // q [T', H*dim], the last T' columns of the step: head-wise rms norm, then rotation, in place.
    virtual void norm_rope(const TensorView& q, const TensorView& weight, float eps, const RopeTable& rope) = 0;
    // k: norm, rotate, store; v: weightless norm, store. v may be the same view as k (keys as values).
    virtual void norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                                 const RopeTable& rope, const KvView& kv) = 0;
    // out, q: [T', H*dim], the last T' columns of the step. Scores are not scaled.
    virtual void attention(const TensorView& q, const KvView& kv, const TensorView& out) = 0;
    // Moves the step's scratch rows into the ring; segment 0 is the ring, segment 1 the scratch.
    virtual void commit_kv(const KvView& kv) = 0;
    // x = (x + rms_norm(y) * w) * scale
    virtual void add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) = 0;
    virtual void add(const TensorView& x, const TensorView& y) = 0;
    virtual void soft_cap(const TensorView& x, float cap) = 0;
};

}  // namespace lapidary::runtime
