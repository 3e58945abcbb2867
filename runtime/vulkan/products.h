// Products with matrices on a Vulkan device: which shader serves a weight, and the dispatches of Device::matmul and
// gated_matmul.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "runtime/device.h"
#include "runtime/vulkan/dispatch.h"
#include "runtime/vulkan/product_image.h"

namespace lapidary::runtime::vulkan {

// Memory for the image of a gated product's results, with a counter, zero between products, for each 256 of their rows, of
// which there are kResultGroups at most.
inline constexpr int64_t kResultGroups = 1024;
struct ResultImage {
    Range image, counters;
};

// The columns up to which a row's bits do not depend on their number.
inline constexpr int64_t kMatvecColumns = 8;

// Panels times few columns: threads of a workgroup, a multiple of 4, and the panels that it takes. Results depend on the
// threads in their last bits. threads * panels <= 512: the sums of two matrices wait in half of 32 KiB. Where that would
// leave fewer workgroups than `groups`, a workgroup takes fewer panels.
struct MatvecTuning {
    uint32_t threads = 64, panels = 2, groups = 512;
    uint32_t subgroup = 0;  // required threads of a subgroup; 0: as the driver likes
};
// Many columns: a workgroup's tile and the rows of it that a thread has; all multiples of 4, rows of 16. A thread's columns are
// rows * columns / (threads * thread_rows). A product with half as many columns, or a quarter, takes a tile that is as much
// narrower, and so many fewer threads. `half`: where no int8 image serves, weights and columns are rounded to f16, which the
// tile is of, for half the traffic of shared memory; f32 sums. Panels of quantised weights and f16; others stay f32: bf16 has more
// range.
struct MatmulTuning {
    uint32_t threads = 256, rows = 64, columns = 64, thread_rows = 4;
    bool half = false;
    uint32_t subgroup = 0;  // as in MatvecTuning
};
// Many columns of the int8 image times quantised panels by cooperative matrices: f16 ones, to which weights are rounded, or
// int8 ones, whose sums are exact; a workgroup's tile, and what of it one subgroup makes, all multiples of 16. A product with
// fewer columns takes a narrower tile. Panels of bf16 and f16 stay with f32: an f16 matrix cannot hold bf16's range, nor that
// of the rows that f16 weights meet.
enum class MatrixKind : uint8_t { half, int8 };
struct MatrixTuning {
    MatrixKind kind = MatrixKind::int8;
    uint32_t rows = 64, columns = 64, own_rows = 32, own_columns = 32;
};
struct ProductTuning {
    MatvecTuning matvec;
    MatmulTuning dot, floats;
    std::optional<MatrixTuning> matrix;  // serves where it can; none: matrices must win a race
};
using Tuning = std::variant<MatvecTuning, MatmulTuning, MatrixTuning>;
// "64x2", "256x64x64x4", "half 256x64x64x4 s32", "matrix_int8 64x64x32x32": in the names of self-tests and of a race's winner.
std::string name(const Tuning& tuning);

// Products that are tuned together: those of one shader and K, the one that serves without matrices.
struct ShapeClass {
    Shader shader;
    int64_t k = 0;
    auto operator<=>(const ShapeClass&) const = default;
};
std::string name(const ShapeClass& shape);  // "matvec_q4_0_dot k3840"

// What is worth a race.
std::span<const MatvecTuning> matvec_candidates();
std::span<const MatmulTuning> dot_candidates();
std::span<const MatmulTuning> float_candidates();  // whose tiles take four times the shared memory
std::span<const MatmulTuning> half_candidates();
std::span<const MatrixTuning> matrix_candidates();

class Products {
  public:
    // `precise`: no int8 image; f32 rows times the weights' exact values.
    Products(const DeviceFacts& facts, bool precise, const ProductTuning& tuning = {});

    // How a weight should lie: in panels where its format and K have them.
    Layout layout_of(Format format, int64_t k) const;
    // The shader that serves: for inspection and reports.
    std::string name_of(Format format, Layout layout, int64_t k, int64_t columns) const;
    // How many columns to test with for the pipeline that multiplies so many: not whole tiles of them.
    int64_t columns_like(const TensorView& weights, int64_t columns) const;
    // Whether operations may leave the int8 image of their results to products behind them: not so where a test forbids it.
    bool leaves_images() const { return leaves_images_ && takes_images(); }
    void leave_images(bool leave) { leaves_images_ = leave; }
    // Whether a gated product can.
    bool leaves_image(const TensorView& gate, const TensorView& up, int64_t columns, RowRange rows) const;
    // Whether its product with so many columns takes the int8 image.
    bool wants_image(const TensorView& weights, int64_t columns) const;

    // What a product with so many columns is tuned with; none where its shader has no tuning: rows times few columns.
    std::optional<ShapeClass> class_of(const TensorView& weights, int64_t columns) const;
    // What may win the class's race; that which serves without one is the first. The first few of each kind also with every
    // size of subgroups that the device lets one require.
    std::vector<Tuning> candidates(const TensorView& weights, int64_t columns) const;
    void tune(const ShapeClass& shape, const Tuning& tuning) { tuned_.insert_or_assign(shape, tuning); }
    // The tuning as a product takes it that gives `rows` results a column, gated or not: with what its class and columns leave.
    Tuning at_work(const TensorView& weights, int64_t columns, int64_t rows, bool gated) const;

    // The shader that serves without matrices must not; whether another one does, which takes f32 rows instead of the int8 image.
    bool disable(Format format, Layout layout);

    // Appends the dispatches of Device::matmul, without the norm: `x` are the rows that are multiplied. `image` is as
    // product_image_bytes says, and `image_valid` where it holds that of x already; else it is written when wanted.
    void matmul(std::span<const MatmulPart> parts, const TensorView& x, const Range& image, bool image_valid,
                std::vector<Dispatch>& out) const;
    // `left`: where the int8 image of the results goes, if there is a place and leaves_image() says so.
    void gated_matmul(const TensorView& gate, const TensorView& up, const TensorView& x, const Range& image,
                      bool image_valid, const TensorView& scratch, const TensorView& out_view, RowRange rows,
                      const ResultImage& left, std::vector<Dispatch>& out) const;

  private:
    enum Family : uint8_t {
        matvec_panels, matvec_panels_dot, matvec_rows, matvec_rows_dot,
        matmul_panels, matmul_panels_dot, matmul_rows, matmul_rows_dot, matmul_half, matmul_matrix_half, matmul_matrix_int8
    };
    static constexpr size_t kFamilies = 11;
    // Sums of four rows, one for each panel and column, that a thread of a mat-vec has: 64 registers of 16 lanes are all that
    // Intel's GPUs have.
    static constexpr uint32_t kThreadSums = 8;
    static constexpr int64_t kGatedColumns = kThreadSums / 2;  // of two matrices in one dispatch
    bool takes_images() const;  // some products do
    bool takes_image(Format format, Layout layout, int64_t k) const;
    static bool gated_together(const TensorView& gate, const TensorView& up, int64_t columns);
    Shader shader_of(Format format, Layout layout, int64_t columns, bool image) const;  // without matrices
    std::optional<Shader> matrix_shader(Format format, Layout layout, int64_t k, const MatrixTuning& tuning) const;
    // Set where matrices serve.
    std::optional<MatrixTuning> matrices_for(Format format, Layout layout, int64_t k, int64_t columns) const;
    std::optional<MatrixTuning> matrices_for(const TensorView& weights, int64_t columns) const;
    PipelineKey matrix_pipeline(const TensorView& weights, const MatrixTuning& tile) const;
    Shader shader_of(const TensorView& weights, int64_t columns) const;

    MatvecTuning matvec_of(const TensorView& weights, int64_t columns) const;
    MatmulTuning tile_for(Format format, Layout layout, int64_t k, int64_t columns) const;
    MatmulTuning tile_for(const TensorView& weights, int64_t columns) const;
    std::optional<Shader> half_shader(Format format, Layout layout, int64_t k) const;
    MatvecTuning panels_for(const TensorView& weights, int64_t columns, int64_t rows, bool gated) const;
    void add_matvec(std::span<const MatmulPart> parts, const TensorView& x, const Range& image, bool gated,
                    const ResultImage& left, std::vector<Dispatch>& out) const;
    void add_matvec_rows(const MatmulPart& part, const TensorView& x, const Range& image, std::vector<Dispatch>& out) const;
    void add_matmul(const MatmulPart& part, const TensorView& x, const Range& image, std::vector<Dispatch>& out) const;

    std::array<std::array<bool, kernels::kFormats>, 2> int8_{};  // by layout and format: whether packed dot products serve
    std::array<std::array<MatrixShape, 2>, 2> shapes_{};  // by kind; for q6_k the second. k 0: none can serve
    uint32_t subgroup_ = 0, most_threads_ = 0;
    std::vector<uint32_t> other_subgroups_;  // sizes that can be required and are not the driver's
    bool require_subgroup_ = false, half_ = false, leaves_images_ = true;
    ProductTuning tuning_;  // of classes that have none of their own
    std::map<ShapeClass, Tuning> tuned_;
    std::array<std::array<std::optional<Shader>, kernels::kFormats>, kFamilies> shaders_;
};

}  // namespace lapidary::runtime::vulkan
