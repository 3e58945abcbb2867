// Shaders beside the scalar reference at the shapes of a model, before they serve: drivers are believed nothing
// (docs/adr/0020). Each check runs steps of a device of its own, on rows of random numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/device.h"

namespace lapidary::runtime::vulkan {

// One matrix and so many columns; only some of its rows are multiplied.
struct ProductCase {
    Format format = Format::f32;
    int64_t k = 0, columns = 1;
    Use use = Use::matrix;
    bool gated = false;
    bool half_weights = false, half_inputs = false;  // the GPU rounds them to f16
    bool own_images = false;  // CPU and GPU round x to int8, by other groups
    bool exact_inputs = false;  // the GPU multiplies f32 rows: by a reference that does so too, whatever the precision
};
inline constexpr int64_t kImageRows = 512;  // of a gated product whose int8 image is read: two of its groups
// Heads of one layer with a cache of so many positions in front of the step.
struct AttentionCase {
    KvFormat format = KvFormat::f16;
    KvClass kv_class = KvClass::linear;
    int32_t heads = 1, kv_heads = 1, dim = 16, key_pairs = 0, pairs = 0;
    int32_t window = 0;  // positions that a token sees at most; 0: all
    int32_t position = 0, columns = 1;
};
struct RowsCase {
    int64_t width = 0, columns = 1;
};
struct EmbedCase {
    Format format = Format::f32;
    Use use = Use::embedding;  // projection: rows where an embedding lies in panels
    int64_t width = 0, columns = 1;
};
struct TopCase {
    int64_t vocab = 0, columns = 1;
    int32_t k = 1;
    bool masked = false;
};

class SelfTest {
  public:
    // `gpu` does what is tested, `reference` is the CPU device of level ref and the same precision, or the precise one for cases
    // of exact inputs. Both are only borrowed; nothing else may use them meanwhile.
    SelfTest(Device& gpu, Device& reference) : gpu_(gpu), reference_(reference) {}

    // An error of code internal says which value is wrong, and by how much; others are the device's own.
    // `reader`: a product of the results, with their K and columns, behind them in the same step. What it takes may be an int8
    // image that was left by the operation.
    Result<void> product(const ProductCase& c, const ProductCase* reader = nullptr);  // with one: gated, kImageRows wide
    Result<void> attention(const AttentionCase& c, const ProductCase* reader = nullptr);  // with norm, rotation and storing in front
    Result<void> norms(const RowsCase& c, const ProductCase* reader = nullptr);  // of a residual too
    Result<void> commit(const AttentionCase& c);  // of a window's ring
    Result<void> bare_norm(const RowsCase& c);  // without weights
    Result<void> layer_norm(const RowsCase& c);
    Result<void> add(const RowsCase& c);
    Result<void> soft_cap(const RowsCase& c);
    Result<void> input_rows(const RowsCase& c);
    Result<void> input_rows_without_id(const RowsCase& c);
    Result<void> embed_rows(const EmbedCase& c);
    Result<void> top_k(const TopCase& c);  // scores that all differ, and scores of which many are equal

  private:
    struct Rows;  // a matrix on both
    struct Reading;  // a product behind the operation that is tested
    Result<Rows> rows(Format format, int64_t count, int64_t cols, uint32_t seed, Use use = Use::values);
    Result<Rows> place(Buffer source, Format format, int64_t count, int64_t cols, Use use);
    Result<Reading> reading(const ProductCase* reader, uint32_t seed);
    using Note = std::function<void(Device& device, bool on_gpu)>;
    using Fill = std::function<void(const StepInputs& inputs)>;
    Result<void> run(Device& device, const StepShape& shape, const Fill& fill, const Note& note);
    Result<void> run(const StepShape& shape, const Fill& fill, const Note& note);  // on both
    Result<void> host_rows(Device::Rows which, const RowsCase& c);
    // Rows of the results side by side; `limit` of a value's row.
    Result<void> compare(const char* what, const Rows& result, const std::function<double(int64_t row)>& limit);
    // With the reference's product of the rows x as the GPU has them.
    Result<void> compare(const Reading& reading, const Rows& x);

    Device& gpu_;
    Device& reference_;
};

}  // namespace lapidary::runtime::vulkan
