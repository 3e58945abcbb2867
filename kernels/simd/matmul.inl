// Matmul for every weight format. A panel of 16 rows times a tile of 256 values of K is expanded to f32 with
// one lane per row, then multiplied with groups of kColumnGroup columns whose accumulators stay in registers.
// One column multiplies while it expands. Either way each output value is one fused multiply-add chain over
// ascending K, so its bits do not depend on the number of columns, the slice of rows or the thread.
namespace {

constexpr int kVectors = static_cast<int>(kPanelRows) / kLanes;  // registers that hold one value of a panel

// Scratch, divided as kernels/tiles.h says.
struct Scratch {
    float* weights;    // [k][16 rows]
    float* rows;       // [row][k], for expanders that go row by row
    uint8_t* tail;     // bytes of a panel that has fewer than 16 rows
    float* x;          // [tile][column][kColumnStride]
    explicit Scratch(void* memory) {
        weights = static_cast<float*>(memory);
        rows = weights + kWeightTileFloats;
        tail = reinterpret_cast<uint8_t*>(rows + kRowBufferFloats);
        x = rows + kRowBufferFloats + kTailRowsFloats;
    }
};

struct StoreSink {
    float* tile;
    LAP_INLINE void operator()(F w) {
        w.store_aligned(tile);
        tile += kPanelRows;
    }
};

struct DotSink {
    const float* x;
    F sum;
    LAP_INLINE void operator()(F w) { sum = fused(w, F(*x++), sum); }
};

// The activations [columns][k_begin, k_begin + count) as f32.
void pack_column(const MatmulArgs& a, int64_t column, int64_t k_begin, int64_t count, float* out) {
    if (a.x) {
        memcpy(out, a.x + column * a.x_stride + k_begin, static_cast<size_t>(count) * sizeof(float));
        return;
    }
    const int8_t* q = a.xq + column * a.x_stride + k_begin;
    const float* scales = a.x_scales + (column * a.k + k_begin) / kActivationBlock;
    for (int64_t k = 0; k < count; k += kLanes) {  // kLanes divides kActivationBlock
        (load_bytes(q + k) * F(scales[k / kActivationBlock])).store_aligned(out + k);
    }
}

// The outputs of one panel: y itself, or a padded copy when the panel has fewer than 16 rows.
template <int kColumns>
class PanelOutput {
  public:
    LAP_INLINE PanelOutput(float* y, int64_t stride, int64_t rows) : y_(y), stride_(stride), rows_(rows) {}
    LAP_INLINE F load(int column, int vector) const {
        const float* from = y_ + column * stride_ + vector * kLanes;
        if (rows_ == kPanelRows) return F::load_unaligned(from);
        alignas(64) float lanes[kLanes] = {};
        for (int i = 0; i < kLanes && vector * kLanes + i < rows_; ++i) lanes[i] = from[i];
        return F::load_aligned(lanes);
    }
    LAP_INLINE void store(int column, int vector, F value) const {
        float* to = y_ + column * stride_ + vector * kLanes;
        if (rows_ == kPanelRows) return value.store_unaligned(to);
        alignas(64) float lanes[kLanes];
        value.store_aligned(lanes);
        for (int i = 0; i < kLanes && vector * kLanes + i < rows_; ++i) to[i] = lanes[i];
    }

  private:
    float* y_;
    int64_t stride_, rows_;
};

// y[columns][16 rows] (+)= tile [count][16 rows] * x[columns][count]
template <int kColumns>
void multiply(const float* w, const float* x, int64_t count, bool first, PanelOutput<kColumns> y) {
    F sums[kColumns][kVectors];
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        LAP_UNROLL
        for (int v = 0; v < kVectors; ++v) sums[c][v] = first ? F(0.0f) : y.load(c, v);
    }
    for (int64_t k = 0; k < count; ++k) {
        F weights[kVectors];
        LAP_UNROLL
        for (int v = 0; v < kVectors; ++v) weights[v] = F::load_aligned(w + k * kPanelRows + v * kLanes);
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            const F value(x[c * kColumnStride + k]);
            LAP_UNROLL
            for (int v = 0; v < kVectors; ++v) sums[c][v] = fused(weights[v], value, sums[c][v]);
        }
    }
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        LAP_UNROLL
        for (int v = 0; v < kVectors; ++v) y.store(c, v, sums[c][v]);
    }
}

// All columns of one tile: whole groups, then the rest as one smaller group.
struct TileShape {
    int64_t count, columns, y_stride, rows;
    bool first;
};
template <int kColumns>
void multiply_groups(const float* w, const float* x, float* y, const TileShape& shape, int64_t column) {
    for (; column + kColumns <= shape.columns; column += kColumns) {
        const PanelOutput<kColumns> out(y + column * shape.y_stride, shape.y_stride, shape.rows);
        multiply<kColumns>(w, x + column * kColumnStride, shape.count, shape.first, out);
    }
    if constexpr (kColumns > 1) {
        if (column < shape.columns) multiply_groups<kColumns - 1>(w, x, y, shape, column);
    }
}

// Where a panel's rows lie: in the weights, or in the padded copy of the last, incomplete panel.
struct PanelBytes {
    const uint8_t* at;
    int64_t stride;
};
PanelBytes panel_bytes(const MatmulArgs& a, Format format, int64_t row, int64_t rows, int64_t k, int64_t count,
                       uint8_t* tail) {
    const auto* at = static_cast<const uint8_t*>(a.weights) + row * a.row_bytes + row_bytes(format, k);
    if (rows == kPanelRows) return {at, a.row_bytes};
    constexpr int64_t kStride = kTailRowsFloats / kPanelRows * static_cast<int64_t>(sizeof(float));
    const auto bytes = static_cast<size_t>(row_bytes(format, count));
    for (int64_t r = 0; r < kPanelRows; ++r) {  // missing rows repeat the last one; their results are dropped
        memcpy(tail + r * kStride, at + (r < rows ? r : rows - 1) * a.row_bytes, bytes);
    }
    return {tail, kStride};
}

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The tiles of K that are packed at once.
struct Chunk {
    int64_t begin, end;
};

template <class Expander>
void panel_many(const MatmulArgs& a, const Scratch& s, int64_t row, int64_t rows, Chunk chunk) {
    const float* x = s.x;
    for (int64_t k = chunk.begin; k < chunk.end; k += kTileK, x += a.columns * kColumnStride) {
        const int64_t count = smaller(kTileK, chunk.end - k);
        const PanelBytes panel = panel_bytes(a, Expander::kFormat, row, rows, k, count, s.tail);
        for (int v = 0; v < kVectors; ++v) {
            StoreSink sink{s.weights + v * kLanes};
            Expander::run(panel.at + v * kLanes * panel.stride, panel.stride, count, s.rows, sink);
        }
        const TileShape shape = {count, a.columns, a.y_stride, rows, k == 0};
        multiply_groups<kColumnGroup>(s.weights, x, a.y + row, shape, 0);
    }
}

template <class Expander>
void panel_one(const MatmulArgs& a, const Scratch& s, int64_t row, int64_t rows, Chunk chunk) {
    const PanelOutput<1> y(a.y + row, a.y_stride, rows);
    for (int v = 0; v < kVectors; ++v) {
        F sum = chunk.begin == 0 ? F(0.0f) : y.load(0, v);
        const float* x = s.x;
        for (int64_t k = chunk.begin; k < chunk.end; k += kTileK, x += kColumnStride) {
            const int64_t count = smaller(kTileK, chunk.end - k);
            const PanelBytes panel = panel_bytes(a, Expander::kFormat, row, rows, k, count, s.tail);
            DotSink sink{x, sum};
            Expander::run(panel.at + v * kLanes * panel.stride, panel.stride, count, s.rows, sink);
            sum = sink.sum;
        }
        y.store(0, v, sum);
    }
}

void add_bias(const MatmulArgs& a) {
    for (int64_t t = 0; t < a.columns; ++t) {
        for (int64_t r = a.row_begin; r < a.row_end; ++r) a.y[t * a.y_stride + r] += a.bias[r];
    }
}

template <class Expander>
void matmul(const MatmulArgs& a) {
    if (a.columns == 0) return;
    const Scratch s(a.scratch);
    const int64_t fitting = activation_floats(a.columns) / (a.columns * kColumnStride) * kTileK;
    for (int64_t begin = 0; begin < a.k; begin += fitting) {
        const Chunk chunk = {begin, smaller(begin + fitting, a.k)};
        float* x = s.x;
        for (int64_t k = chunk.begin; k < chunk.end; k += kTileK) {
            const int64_t count = smaller(kTileK, chunk.end - k);
            for (int64_t c = 0; c < a.columns; ++c, x += kColumnStride) pack_column(a, c, k, count, x);
        }
        for (int64_t row = a.row_begin; row < a.row_end; row += kPanelRows) {
            const int64_t rows = smaller(kPanelRows, a.row_end - row);
            if (a.columns == 1) {
                panel_one<Expander>(a, s, row, rows, chunk);
            } else {
                panel_many<Expander>(a, s, row, rows, chunk);
            }
        }
    }
    if (a.bias) add_bias(a);
}

}  // namespace

void matmul_f32(const MatmulArgs& a) { matmul<ExpandF32>(a); }
void matmul_f16(const MatmulArgs& a) { matmul<ExpandF16>(a); }
void matmul_bf16(const MatmulArgs& a) { matmul<ExpandBf16>(a); }
void matmul_q4_0(const MatmulArgs& a) { matmul<ExpandQ4_0>(a); }
void matmul_q4_1(const MatmulArgs& a) { matmul<ExpandQ4_1>(a); }
void matmul_q8_0(const MatmulArgs& a) { matmul<ExpandQ8_0>(a); }
void matmul_q4_k(const MatmulArgs& a) { matmul<ExpandQ4K>(a); }
void matmul_q6_k(const MatmulArgs& a) { matmul<ExpandQ6K>(a); }
// Rare formats: expanded row by row by the reference.
void matmul_q5_0(const MatmulArgs& a) { matmul<ExpandByRow<Format::q5_0, ref::expand_q5_0>>(a); }
void matmul_q5_1(const MatmulArgs& a) { matmul<ExpandByRow<Format::q5_1, ref::expand_q5_1>>(a); }
void matmul_q2_k(const MatmulArgs& a) { matmul<ExpandByRow<Format::q2_k, ref::expand_q2_k>>(a); }
void matmul_q3_k(const MatmulArgs& a) { matmul<ExpandByRow<Format::q3_k, ref::expand_q3_k>>(a); }
void matmul_q5_k(const MatmulArgs& a) { matmul<ExpandByRow<Format::q5_k, ref::expand_q5_k>>(a); }
void matmul_iq4_nl(const MatmulArgs& a) { matmul<ExpandByRow<Format::iq4_nl, ref::expand_iq4_nl>>(a); }
void matmul_iq4_xs(const MatmulArgs& a) { matmul<ExpandByRow<Format::iq4_xs, ref::expand_iq4_xs>>(a); }
