// Matmul for every weight format. A panel of 16 rows times a tile of 256 values of K is expanded to f32 with
// one lane per row, then multiplied with groups of kColumnGroup columns whose accumulators stay in registers.
// One column multiplies while it expands. Either way each output value is one fused multiply-add chain over
// ascending K, so its bits do not depend on the number of columns, the slice of rows or the thread.
namespace {

constexpr int kColumnGroup = kTile_matmul_f32.columns;  // the same for all formats
constexpr int kVectors = static_cast<int>(kPanelRows) / kLanes;  // registers that hold one value of a panel

// Scratch, divided as kernels/tiles.h says.
struct Scratch {
    float* weights;  // [k][16 rows]
    float* sums;     // [column][16 rows]
    uint8_t* tail;   // bytes of a panel that has fewer than 16 rows
    float* x;        // [tile][column][kColumnStride]
    explicit Scratch(void* memory) {
        weights = static_cast<float*>(memory);
        sums = weights + kWeightTileFloats;
        tail = reinterpret_cast<uint8_t*>(sums + kSumFloats);
        x = sums + kSumFloats + kTailFloats;
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

// sums [columns][16 rows] += tile [count][16 rows] * x [columns][count]
template <int kColumns>
void multiply(const float* w, const float* x, int64_t count, float* sums) {
    F acc[kColumns][kVectors];
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        LAP_UNROLL
        for (int v = 0; v < kVectors; ++v) acc[c][v] = F::load_aligned(sums + c * kPanelRows + v * kLanes);
    }
    for (int64_t k = 0; k < count; ++k) {
        F weights[kVectors];
        LAP_UNROLL
        for (int v = 0; v < kVectors; ++v) weights[v] = F::load_aligned(w + k * kPanelRows + v * kLanes);
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) {
            const F value(x[c * kColumnStride + k]);
            LAP_UNROLL
            for (int v = 0; v < kVectors; ++v) acc[c][v] = fused(weights[v], value, acc[c][v]);
        }
    }
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        LAP_UNROLL
        for (int v = 0; v < kVectors; ++v) acc[c][v].store_aligned(sums + c * kPanelRows + v * kLanes);
    }
}

// All columns of one tile: whole groups, then the rest as one smaller group.
template <int kColumns>
void multiply_groups(const float* w, const float* x, int64_t count, int64_t columns, float* sums) {
    for (; columns >= kColumns; columns -= kColumns) {
        multiply<kColumns>(w, x, count, sums);
        x += kColumns * kColumnStride;
        sums += kColumns * kPanelRows;
    }
    if constexpr (kColumns > 1) {
        if (columns > 0) multiply_groups<kColumns - 1>(w, x, count, columns, sums);
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
    constexpr int64_t kStride = kTailFloats / kPanelRows * static_cast<int64_t>(sizeof(float));
    const auto bytes = static_cast<size_t>(row_bytes(format, count));
    for (int64_t r = 0; r < kPanelRows; ++r) {  // missing rows repeat the last one; their results are dropped
        memcpy(tail + r * kStride, at + (r < rows ? r : rows - 1) * a.row_bytes, bytes);
    }
    return {tail, kStride};
}

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// A panel's rows and the stretch of K whose activations are packed.
struct Panel {
    int64_t row, rows, k_begin, k_end;
};

template <class Expander>
void panel_many(const MatmulArgs& a, const Scratch& s, const Panel& p) {
    const float* x = s.x;
    for (int64_t k = p.k_begin; k < p.k_end; k += kTileK, x += a.columns * kColumnStride) {
        const int64_t count = smaller(kTileK, p.k_end - k);
        const PanelBytes bytes = panel_bytes(a, Expander::kFormat, p.row, p.rows, k, count, s.tail);
        for (int v = 0; v < kVectors; ++v) {
            StoreSink sink{s.weights + v * kLanes};
            Expander::run(bytes.at + v * kLanes * bytes.stride, bytes.stride, count, sink);
        }
        multiply_groups<kColumnGroup>(s.weights, x, count, a.columns, s.sums);
    }
}

// The registers of a panel take turns block by block, so that their chains of additions overlap.
template <class Expander>
void panel_one(const MatmulArgs& a, const Scratch& s, const Panel& p) {
    constexpr int64_t kStep = block_values(Expander::kFormat) > 32 ? block_values(Expander::kFormat) : 32;
    F sums[kVectors];
    LAP_UNROLL
    for (int v = 0; v < kVectors; ++v) sums[v] = F::load_aligned(s.sums + v * kLanes);
    const float* x = s.x;
    for (int64_t k = p.k_begin; k < p.k_end; k += kTileK, x += kColumnStride) {
        const int64_t count = smaller(kTileK, p.k_end - k);
        const PanelBytes bytes = panel_bytes(a, Expander::kFormat, p.row, p.rows, k, count, s.tail);
        for (int64_t i = 0; i < count; i += kStep) {
            const uint8_t* blocks = bytes.at + row_bytes(Expander::kFormat, i);
            LAP_UNROLL
            for (int v = 0; v < kVectors; ++v) {
                DotSink sink{x + i, sums[v]};
                Expander::run(blocks + v * kLanes * bytes.stride, bytes.stride, smaller(kStep, count - i), sink);
                sums[v] = sink.sum;
            }
        }
    }
    LAP_UNROLL
    for (int v = 0; v < kVectors; ++v) sums[v].store_aligned(s.sums + v * kLanes);
}

// Partial sums of a panel come from y and go back there, [column][16 rows] in between.
void load_sums(const MatmulArgs& a, const Panel& p, float* sums) {
    for (int64_t c = 0; c < a.columns; ++c) {
        const float* y = a.y + c * a.y_stride + p.row;
        for (int64_t r = 0; r < kPanelRows; ++r) {
            sums[c * kPanelRows + r] = p.k_begin > 0 && r < p.rows ? y[r] : 0.0f;
        }
    }
}
void store_sums(const MatmulArgs& a, const Panel& p, const float* sums) {
    const bool add_bias = a.bias && p.k_end == a.k;
    for (int64_t c = 0; c < a.columns; ++c) {
        float* y = a.y + c * a.y_stride + p.row;
        for (int64_t r = 0; r < p.rows; ++r) {
            y[r] = add_bias ? sums[c * kPanelRows + r] + a.bias[p.row + r] : sums[c * kPanelRows + r];
        }
    }
}

// At most kColumnBlock columns.
template <class Expander>
void matmul_block(const MatmulArgs& a) {
    const Scratch s(a.scratch);
    const int64_t fitting = kActivationFloats / (a.columns * kColumnStride) * kTileK;
    for (int64_t begin = 0; begin < a.k; begin += fitting) {
        const int64_t end = smaller(begin + fitting, a.k);
        float* x = s.x;
        for (int64_t k = begin; k < end; k += kTileK) {
            for (int64_t c = 0; c < a.columns; ++c, x += kColumnStride) {
                pack_column(a, c, k, smaller(kTileK, end - k), x);
            }
        }
        for (int64_t row = a.row_begin; row < a.row_end; row += kPanelRows) {
            const Panel panel = {row, smaller(kPanelRows, a.row_end - row), begin, end};
            load_sums(a, panel, s.sums);
            if (a.columns == 1) {
                panel_one<Expander>(a, s, panel);
            } else {
                panel_many<Expander>(a, s, panel);
            }
            store_sums(a, panel, s.sums);
        }
    }
}

template <class Expander>
void matmul(const MatmulArgs& args) {
    for (int64_t column = 0; column < args.columns; column += kColumnBlock) {
        MatmulArgs a = args;
        a.columns = smaller(kColumnBlock, args.columns - column);
        a.y += column * a.y_stride;
        if (a.x) {
            a.x += column * a.x_stride;
        } else {
            a.xq += column * a.x_stride;
            a.x_scales += column * a.k / kActivationBlock;
        }
        matmul_block<Expander>(a);
    }
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
void matmul_q5_0(const MatmulArgs& a) { matmul<ExpandQ5_0>(a); }
void matmul_q5_1(const MatmulArgs& a) { matmul<ExpandQ5_1>(a); }
void matmul_q2_k(const MatmulArgs& a) { matmul<ExpandQ2K>(a); }
void matmul_q3_k(const MatmulArgs& a) { matmul<ExpandQ3K>(a); }
void matmul_q5_k(const MatmulArgs& a) { matmul<ExpandQ5K>(a); }
void matmul_iq4_nl(const MatmulArgs& a) { matmul<ExpandIq4Nl>(a); }
void matmul_iq4_xs(const MatmulArgs& a) { matmul<ExpandIq4Xs>(a); }
