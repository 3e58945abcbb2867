// What the int8 panel kernels of neon, neon_dot and neon_i8mm share: cells, prepared columns, and how panels
// and columns are cut into register tiles. Included once, inside the level's namespace, by its panels.cpp.
//
// A cell is a vector of four sums: 4 rows x 1 column, or (kPairs) 2 rows x 2 columns, lane 2r + c. A Step is
// how a level multiplies (panel_plain.inl, panel_dot.inl, panel_matrix.inl); it has
//   kPairs, kUnsigned     the shape of a cell; whether whole bytes of weights multiply as unsigned
//   kCells                cells of a register tile at most
//   Activations<J>        16 x 16 K of J columns of cells, as the step wants to read them
//   Block<kLargest, N, J> the sums of N x J cells over a block of K, whose weights are at most kLargest
// A Group is a weight format (panel_formats.inl): its sums over 256 K.
namespace {

constexpr int kTilePanels = 4;  // that share prepared columns
constexpr int kQuads = kPanel / 4;
constexpr int kChunks = kActivationGroup / 16;

// The columns of a tile at some K. An odd last column of kPairs stands in for its missing neighbour.
struct Inputs {
    const PanelInput& x;
    int64_t column, columns, group;

    LAP_INLINE int64_t at(int64_t c) const { return column + (c < columns ? c : columns - 1); }
    LAP_INLINE const int8_t* q(int64_t c) const {
        return x.q + at(c) * x.q_stride + group * kActivationGroup;
    }
    LAP_INLINE const int16_t* sums(int64_t c) const { return x.sums + at(c) * (x.k / 16) + group * kChunks; }
    LAP_INLINE const int32_t* offsets(int64_t c) const {
        return x.offsets + at(c) * (x.k / 32) + group * kGroupBlocks;
    }
    LAP_INLINE float scale(int64_t c) const { return x.scales[at(c) * (x.k / kActivationGroup) + group]; }
};

// Four values of column a (and b), each spread over the lanes that this column has in a cell.
template <bool kPairs>
LAP_INLINE void spread(int32x4_t a, int32x4_t b, int32x4_t* out, int stride) {
    if constexpr (kPairs) {
        const int64x2_t low = vreinterpretq_s64_s32(vzip1q_s32(a, b));
        const int64x2_t high = vreinterpretq_s64_s32(vzip2q_s32(a, b));
        out[0] = vreinterpretq_s32_s64(vdupq_laneq_s64(low, 0));
        out[stride] = vreinterpretq_s32_s64(vdupq_laneq_s64(low, 1));
        out[2 * stride] = vreinterpretq_s32_s64(vdupq_laneq_s64(high, 0));
        out[3 * stride] = vreinterpretq_s32_s64(vdupq_laneq_s64(high, 1));
    } else {
        out[0] = vdupq_laneq_s32(a, 0);
        out[stride] = vdupq_laneq_s32(a, 1);
        out[2 * stride] = vdupq_laneq_s32(a, 2);
        out[3 * stride] = vdupq_laneq_s32(a, 3);
    }
}

// Values of four rows as factors of cells: of one row of cells, or of two.
template <bool kPairs>
LAP_INLINE void row_factors(float32x4_t rows, float32x4_t* out) {
    out[0] = kPairs ? vzip1q_f32(rows, rows) : rows;
    if constexpr (kPairs) out[1] = vzip2q_f32(rows, rows);
}
template <bool kPairs>
LAP_INLINE void row_factors(int32x4_t rows, int32x4_t* out) {
    out[0] = kPairs ? vzip1q_s32(rows, rows) : rows;
    if constexpr (kPairs) out[1] = vzip2q_s32(rows, rows);
}

// Sums of the activations of four blocks of kBlockK, times kFactor.
template <int kBlockK, int kFactor>
LAP_INLINE int32x4_t scaled_sums(const Inputs& in, int64_t c, int block) {
    if constexpr (kBlockK == 32 && kFactor == -8) {
        return vld1q_s32(in.offsets(c) + block);
    } else if constexpr (kBlockK == 32) {
        return vmulq_n_s32(vpaddlq_s16(vld1q_s16(in.sums(c) + 2 * block)), kFactor);
    } else {
        return vmulq_n_s32(vmovl_s16(vld1_s16(in.sums(c) + block)), kFactor);
    }
}

// J columns of cells over 256 K, prepared once for all panels of a tile. sums are those of the activations of
// each block of kBlockK, times kFactor.
template <class Step, int J, int kBlockK, int kFactor>
struct Columns {
    static constexpr int kBlocks = kActivationGroup / kBlockK;
    typename Step::template Activations<J> q;
    int32x4_t sums[kBlocks][J];
    float32x4_t scales[J];

    LAP_INLINE void prepare(const Inputs& in) {
        q.prepare(in);
        for (int j = 0; j < J; ++j) {
            const int a = Step::kPairs ? 2 * j : j, b = Step::kPairs ? a + 1 : a;
            const float both[4] = {in.scale(a), in.scale(b), in.scale(a), in.scale(b)};
            scales[j] = vld1q_f32(both);
            if constexpr (kFactor != 0) {
                for (int block = 0; block < kBlocks; block += 4) {
                    spread<Step::kPairs>(scaled_sums<kBlockK, kFactor>(in, a, block),
                                         scaled_sums<kBlockK, kFactor>(in, b, block), &sums[block][j], J);
                }
            }
        }
    }
};

// Quads of rows whose cells fit in the registers at J columns of cells.
template <class Step>
constexpr int quads_of_strip(int j) {
    const int cells = (Step::kPairs ? 2 : 1) * j;
    return 4 * cells <= Step::kCells ? 4 : 2 * cells <= Step::kCells ? 2 : 1;
}

LAP_INLINE void store_rows(float32x4_t v, float* y, int64_t rows) {
    if (rows >= 4) return vst1q_f32(y, v);
    float lanes[4];
    vst1q_f32(lanes, v);
    for (int64_t i = 0; i < rows; ++i) y[i] = lanes[i];
}

// A panel's totals [row of cells][J] to those rows and columns that exist.
template <bool kPairs, int J>
LAP_INLINE void store_panel(const PanelMatmulArgs& a, int64_t panel, const Inputs& in,
                            const float32x4_t* totals) {
    for (int64_t c = 0; c < in.columns; ++c) {
        for (int64_t quad = 0; quad < kQuads; ++quad) {
            const int64_t row = panel * kPanel + 4 * quad;
            float32x4_t rows;
            if constexpr (kPairs) {
                const float32x4_t first = totals[2 * quad * J + c / 2],
                                  second = totals[(2 * quad + 1) * J + c / 2];
                rows = c % 2 == 0 ? vuzp1q_f32(first, second) : vuzp2q_f32(first, second);
            } else {
                rows = totals[quad * J + c];
            }
            store_rows(rows, a.y + (in.column + c) * a.y_stride + row, a.rows - row);
        }
    }
}

// All K of at most kTilePanels panels and at most J columns of cells.
template <class Step, class Group, int J>
void multiply_tile(const PanelMatmulArgs& a, int64_t begin, int64_t end, Inputs in) {
    constexpr int kRowCells = kQuads * (Step::kPairs ? 2 : 1), kStrip = quads_of_strip<Step>(J);
    const int64_t stride = panel_bytes(Group::kFormat, a.x.k);
    float32x4_t totals[kTilePanels][kRowCells * J];
    for (int64_t p = 0; p < end - begin; ++p)
        for (float32x4_t& total : totals[p]) total = vdupq_n_f32(0);
    for (in.group = 0; in.group < a.x.k / kActivationGroup; ++in.group) {
        typename Group::template ColumnsOf<Step, J> columns;
        columns.prepare(in);
        const uint8_t* unit = static_cast<const uint8_t*>(a.panels) + begin * stride +
                              in.group * panel_group_bytes(Group::kFormat);
        for (int64_t p = 0; p < end - begin; ++p, unit += stride) {
            typename Group::template Rows<Step::kPairs> rows;
            rows.prepare(unit);
            for (int quad = 0; quad < kQuads; quad += kStrip)
                Group::template add<Step, kStrip, J>(unit, quad, rows, columns,
                                                     totals[p] + quad * (Step::kPairs ? 2 : 1) * J);
        }
    }
    for (int64_t p = 0; p < end - begin; ++p) store_panel<Step::kPairs, J>(a, begin + p, in, totals[p]);
}

// The columns are cut evenly, into whole cells.
template <class Step, class Group, int kMost>
void multiply_panels(const PanelMatmulArgs& a) {
    constexpr int kColumnsOfCell = Step::kPairs ? 2 : 1;
    for_panels(a, panels_of_tile(Group::kFormat, a.x.k), [&](int64_t begin, int64_t end) {
        for (int64_t column = 0, columns; column < a.x.columns; column += columns) {
            const int64_t left = a.x.columns - column, cells = tiles_of(tile_width(left, kMost), kColumnsOfCell);
            columns = cells * kColumnsOfCell < left ? cells * kColumnsOfCell : left;
            const Inputs in = {a.x, column, columns, 0};
            with_constant<1, kMost / kColumnsOfCell>(cells, [&](auto count) {
                for (int64_t p = begin; p < end; p += kTilePanels)
                    multiply_tile<Step, Group, count.value>(a, p, p + kTilePanels < end ? p + kTilePanels : end, in);
            });
        }
    });
}

}  // namespace
