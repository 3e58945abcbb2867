// Where CPU and GPU meet: some 14 operations on opaque views, noted once per StepKey and then replayed. A device that
// computes at once (the CPU) runs them as they come. What changes from step to step lies in StepInputs, never in an
// operation's arguments. Operations neither fail nor throw: begin() reserves, wait() says what went wrong.
// One caller at a time; only allocate(), and the end of a Buffer, may come from any thread at any time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lapidary/result.h"
#include "runtime/kv.h"
#include "runtime/op_cost.h"
#include "runtime/step_inputs.h"
#include "runtime/tensor.h"

namespace lapidary::runtime {

// One weight matrix of a matmul. Writes rows [row_begin, row_end) of the output: out[t][row_begin..row_end).
struct MatmulPart {
    TensorView weights;        // [R, K]
    TensorView out;            // [T, R] f32
    TensorView bias = {};      // [1, R] f32 or none; not with panels
    RowRange rows = {};        // with panels multiples of 16
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

// What memory is for. weights: read by the device alone; state: cache and step buffers; readback: read by the host; shared:
// the CPU device computes with it too, while no step of this device runs or between its give() and take().
enum class MemoryKind : uint8_t { weights, state, readback, shared };

// A weight where the device wants it: in new memory, or still in its source.
struct Placed {
    Buffer memory;           // null: none was needed
    TensorView view;
    bool in_source = false;  // the source must stay
};
// What the CPU does in the midst of another device's step, and the rows that it reads and writes for that. `run` neither fails
// nor waits for anybody.
struct Help {
    std::function<void()> run;
    TensorView in;
    std::vector<TensorView> outs;  // kMaxParts at most
};
// What a weight is for: matrices of the layers; the embedding, multiplied as the head and read row by row; the embedding where
// another device has the head; matrices and tables that serve pictures and sound; factors of norms.
enum class Use : uint8_t { matrix, embedding, table, projection, values };

// How many bytes are done by now; false stops with `cancelled`.
using ByteSink = std::function<bool(int64_t done)>;

// Who multiplies a matrix once it is placed: the operation of these levels, with few columns and with many.
struct KernelChoice {
    Layout layout = Layout::rows;
    std::string operation;  // "panel_matmul_q4_0"
    std::string few, many;  // "avx2", "avx512"
};

// Of units that multiply small matrices at once.
struct MatrixPeak {
    double gmacs = 0;  // 0: there are none
    std::string instruction;
};

// What the machine can do just now, watched for so many seconds.
class MachineProbe {
  public:
    virtual ~MachineProbe() = default;
    virtual double read_bandwidth(const Buffer& buffer, double seconds) = 0;  // GB/s; a buffer of 1 MiB or more
    virtual double int8_peak(double seconds) = 0;                             // GMAC/s
    virtual const char* peak_instruction() const = 0;
    virtual MatrixPeak matrix_peak(double) { return {}; }
};

// One row of top_k.
struct Candidate {
    int32_t id = 0;
    float score = 0;
};

enum class Entry : uint8_t { ids, second_ids };  // which numbers of the inputs name rows of a table

// The block of a step to be filled, and whether its operations are known already.
struct Recording {
    StepInputs inputs;
    bool replays = false;
};

// Called before each layer with its number, by whoever executes. False: stop; wait() then returns `cancelled`.
using StepWatch = std::function<bool(int32_t layer)>;

using Ticket = uint64_t;

class Recorder;

class Device {
  public:
    virtual ~Device() = default;

    // Zeroed memory, 64-byte aligned. out_of_memory names the size; device_unavailable: the CPU sees nothing of it that
    // could be shared.
    virtual Result<Buffer> allocate(size_t bytes, MemoryKind kind) = 0;
    // Bytes from one buffer of this device to another, at once and outside of steps.
    virtual Result<void> copy(const Buffer& from, size_t from_offset, const Buffer& to, size_t to_offset, size_t bytes) = 0;
    // Bytes between the host and a buffer of this device, at once and outside of steps.
    virtual Result<void> download(const Buffer& from, size_t offset, std::span<std::byte> to) = 0;
    virtual Result<void> upload(std::span<const std::byte> from, const Buffer& to, size_t offset) = 0;
    // The whole buffer full of one word, at once and outside of steps.
    virtual Result<void> fill(const Buffer& buffer, uint32_t word) = 0;

    // A weight from host memory to where it serves best: copied, rearranged or left. out_of_memory, or `cancelled` by
    // the sink.
    virtual Result<Placed> place(const TensorView& host, Use use, const ByteSink& progress) = 0;
    // Whether place() would move it; and what then multiplies it.
    virtual bool moves(const TensorView& host, Use use) const = 0;
    virtual KernelChoice kernels_of(const TensorView& host, Use use) const = 0;

    // Starts a step: reserves whatever its operations need, and hands out the inputs' block. The caller fills it; if
    // nothing replays, it then notes the operations and calls end(). The block is the caller's until submit().
    virtual Result<Recording> begin(const StepKey& key, const StepWatch& watch) = 0;
    virtual void end() = 0;
    virtual void abort() = 0;  // instead of submit(): nothing of this step will run or be kept
    virtual Ticket submit() = 0;
    virtual Result<void> wait(Ticket ticket) = 0;
    // After wait(): the bytes of the rows, one after the other; valid until the next begin(). Null: the device is lost.
    virtual const std::byte* read(const TensorView& from) = 0;

    // Whether steps meet the CPU midway: once all is done that was noted in front of give(), whoever is in submit() runs `help`, in
    // every run of the step, on memory of kind shared; what is noted behind take() finds what it wrote. Between the two stands
    // what touches none of that.
    virtual bool meets() const { return false; }
    virtual void give(const Help&) {}
    virtual void take() {}

    virtual void observe(Recorder* recorder) = 0;  // told of every operation executed; null: nobody
    virtual MachineProbe& probe() = 0;

    // The operations that follow belong to this kind of layer (a string that lives for ever) and number; -1: to none.
    // False: the step was stopped, and what follows would not run.
    virtual bool layer(const char* kind, int32_t number) = 0;

    // out[t] = table[entry[t]] * scale, for entries >= 0.
    virtual void embed_rows(const TensorView& table, Entry entry, float scale, const TensorView& out) = 0;
    // out[t] = the host's row t, its values from `from` on: of every column, or only where ids[t] < 0.
    enum class Rows : uint8_t { all, without_id };
    virtual void input_rows(Rows which, const TensorView& out, int64_t from = 0) = 0;
    virtual void rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) = 0;
    virtual void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                            const TensorView& out) = 0;
    // Up to kMaxParts matrices against the same input.
    virtual void matmul(std::span<const MatmulPart> parts, const MatmulInput& in) = 0;
    // out = gelu_tanh(gate x) * (up x), [T, R], of the range of rows; `scratch` [T, R] holds the second product.
    virtual void gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in,
                              const TensorView& scratch, const TensorView& out, RowRange rows = {}) = 0;
    // q [T', H*dim], the last T' columns of the step: head-wise rms norm, then the class's rotation, in place.
    virtual void norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles) = 0;
    // k: norm, rotate, store; v: weightless norm, store. v may be the same view as k (keys as values).
    virtual void norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                                 const KvView& kv) = 0;
    // out, q: [T', H*dim], the last T' columns of the step. Scores are not scaled.
    virtual void attention(const TensorView& q, const KvView& kv, const TensorView& out) = 0;
    // Moves the step's scratch rows into the ring; segment 0 is the ring, segment 1 the scratch.
    virtual void commit_kv(const KvView& kv) = 0;
    // x = (x + rms_norm(y) * w) * scale
    virtual void add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) = 0;
    virtual void add(const TensorView& x, const TensorView& y) = 0;
    virtual void soft_cap(const TensorView& x, float cap) = 0;
    // The k greatest of each row of scores [T, V] that the mask of the inputs allows, greatest first, equal ones by
    // id; NaN counts as greatest. out: [T, 2 k] f32, the bytes of k Candidates a row; fewer than k: id -1 fills up.
    virtual void top_k(const TensorView& scores, int32_t k, const TensorView& out) = 0;
};

}  // namespace lapidary::runtime
