// The weight formats of the int8 panel kernels, for any Step of panel_cells.inl. The order of operations is
// in kernels/panels.h. Included once, inside the level's namespace, by its panels.cpp.
//
// weights() unpacks 16 K of four rows into four operands. Without kPairs operand i holds K = 4i + j, byte 4r
// + j; with it, operands 0 and 1 belong to rows 0 and 1, each half of them to a row: K of 0..3 and 8..11 in
// the first, 4..7 and 12..15 in the second; 2 and 3 the same to rows 2 and 3.
namespace {

template <bool kPairs>
LAP_INLINE void pair_rows(uint8x16_t& a, uint8x16_t& b) {
    if constexpr (kPairs) {
        const uint32x4_t first = vreinterpretq_u32_u8(a), second = vreinterpretq_u32_u8(b);
        a = vreinterpretq_u8_u32(vzip1q_u32(first, second));
        b = vreinterpretq_u8_u32(vzip2q_u32(first, second));
    }
}

// Two word groups of nibbles; operands are unsigned 0..15.
template <bool kPairs>
LAP_INLINE void nibble_weights(const uint8_t* at, int8x16_t* w) {
    uint8x16_t a = vld1q_u8(at), b = vld1q_u8(at + kPanelWordBytes);
    pair_rows<kPairs>(a, b);
    const uint8x16_t low = vdupq_n_u8(15);
    w[0] = vreinterpretq_s8_u8(vandq_u8(a, low));
    w[1] = vreinterpretq_s8_u8(vshrq_n_u8(a, 4));
    w[2] = vreinterpretq_s8_u8(vandq_u8(b, low));
    w[3] = vreinterpretq_s8_u8(vshrq_n_u8(b, 4));
}

LAP_INLINE float32x4_t load_half(const uint8_t* at) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at))); }

// f16 scales of the rows of a strip, as factors of cells.
template <bool kPairs, int kStrip>
LAP_INLINE void half_factors(const uint8_t* scales, int quad, float32x4_t* out) {
    LAP_UNROLL
    for (int i = 0; i < kStrip; ++i)
        row_factors<kPairs>(load_half(scales + 8 * (quad + i)), out + i * (kPairs ? 2 : 1));
}

// Sixteen small integers, one per row, as factors of cells.
template <bool kPairs>
LAP_INLINE void widen(uint8x16_t rows, int32x4_t* out) {
    constexpr int kStep = kPairs ? 2 : 1;
    const uint16x8_t low = vmovl_u8(vget_low_u8(rows)), high = vmovl_high_u8(rows);
    row_factors<kPairs>(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))), out);
    row_factors<kPairs>(vreinterpretq_s32_u32(vmovl_high_u16(low)), out + kStep);
    row_factors<kPairs>(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))), out + 2 * kStep);
    row_factors<kPairs>(vreinterpretq_s32_u32(vmovl_high_u16(high)), out + 3 * kStep);
}
template <bool kPairs>
LAP_INLINE void widen(int8x16_t rows, int32x4_t* out) {
    constexpr int kStep = kPairs ? 2 : 1;
    const int16x8_t low = vmovl_s8(vget_low_s8(rows)), high = vmovl_high_s8(rows);
    row_factors<kPairs>(vmovl_s16(vget_low_s16(low)), out);
    row_factors<kPairs>(vmovl_high_s16(low), out + kStep);
    row_factors<kPairs>(vmovl_s16(vget_low_s16(high)), out + 2 * kStep);
    row_factors<kPairs>(vmovl_high_s16(high), out + 3 * kStep);
}

// exact[cell] of a block of kBlockK whose weights begin at `at` (of the strip's first quad).
template <class Step, class Weights, int kStrip, int J, int kBlockK>
LAP_INLINE void sum_block(const uint8_t* at, const typename Step::template Activations<J>& q, int chunk,
                          const int32x4_t* from, int32x4_t* exact) {
    constexpr int kCellsOfQuad = Step::kPairs ? 2 : 1;
    typename Step::template Block<Weights::kLargest, kStrip * kCellsOfQuad, J> block;
    block.start(from);
    LAP_UNROLL
    for (int i = 0; i < kBlockK / 16; ++i) {
        LAP_UNROLL
        for (int quad = 0; quad < kStrip; ++quad) {
            int8x16_t w[4];
            Weights::template weights<Step>(at + i * Weights::kChunkBytes + 16 * quad, w);
            block.add(quad, w, q, chunk + i, i == 0);
        }
    }
    block.finish(from, exact);
}

// What add() wants to know of the rows beforehand: nothing.
template <bool kPairs>
struct NoRows {
    LAP_INLINE void prepare(const uint8_t*) {}
};

struct Q4_0 {
    static constexpr Format kFormat = Format::q4_0;
    template <class Step>
    static constexpr int kOffset = 8;
    static constexpr int kLargest = 15, kChunkBytes = 2 * kPanelWordBytes;
    template <class Step>
    LAP_INLINE static void weights(const uint8_t* at, int8x16_t* w) {
        nibble_weights<Step::kPairs>(at, w);
    }
};

// The bytes are offset by 128. For a step that reads them as signed, flipping the top bit takes the offset
// off.
struct Q8_0 {
    static constexpr Format kFormat = Format::q8_0;
    template <class Step>
    static constexpr int kOffset = Step::kUnsigned ? 128 : 0;
    static constexpr int kLargest = 128, kChunkBytes = 4 * kPanelWordBytes;
    template <class Step>
    LAP_INLINE static void weights(const uint8_t* at, int8x16_t* w) {
        const uint8x16_t sign = vdupq_n_u8(128);
        uint8x16_t words[4];
        LAP_UNROLL
        for (int i = 0; i < 4; ++i) {
            words[i] = vld1q_u8(at + i * kPanelWordBytes);
            if constexpr (!Step::kUnsigned) words[i] = veorq_u8(words[i], sign);
        }
        pair_rows<Step::kPairs>(words[0], words[2]);
        pair_rows<Step::kPairs>(words[1], words[3]);
        w[0] = vreinterpretq_s8_u8(words[0]);
        w[1] = vreinterpretq_s8_u8(words[1]);
        w[2] = vreinterpretq_s8_u8(words[2]);
        w[3] = vreinterpretq_s8_u8(words[3]);
    }
};

template <class Weights>
struct BlockGroup {
    static constexpr Format kFormat = Weights::kFormat;
    template <class Step, int J>
    using ColumnsOf = Columns<Step, J, 32, -Weights::template kOffset<Step>>;
    template <bool kPairs>
    using Rows = NoRows<kPairs>;

    template <class Step, int kStrip, int J>
    LAP_INLINE static void add(const uint8_t* unit, int quad, const Rows<Step::kPairs>&,
                               const ColumnsOf<Step, J>& columns, float32x4_t* totals) {
        constexpr int kRowCells = kStrip * (Step::kPairs ? 2 : 1), kSums = kRowCells * J;
        float32x4_t sums[kSums];
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) sums[i] = vdupq_n_f32(0);
        for (int b = 0; b < kGroupBlocks; ++b) {
            int32x4_t exact[kSums];
            const uint8_t* values = unit + panel_block_values(kFormat, b) + 16 * quad;
            __asm__("" : "+r"(values));  // one base for all loads, whose distances are then immediates
            sum_block<Step, Weights, kStrip, J, 32>(
                values, columns.q, 2 * b, Weights::template kOffset<Step> ? columns.sums[b] : nullptr, exact);
            float32x4_t d[kRowCells];
            half_factors<Step::kPairs, kStrip>(unit + panel_block_scales(kFormat, b), quad, d);
            LAP_UNROLL
            for (int i = 0; i < kSums; ++i) sums[i] = vfmaq_f32(sums[i], vcvtq_f32_s32(exact[i]), d[i / J]);
        }
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) totals[i] = vfmaq_f32(totals[i], sums[i], columns.scales[i % J]);
    }
};

struct Q4K {
    static constexpr Format kFormat = Format::q4_k;
    static constexpr int kLargest = 15, kChunkBytes = 2 * kPanelWordBytes;
    template <class Step, int J>
    using ColumnsOf = Columns<Step, J, 32, 1>;

    template <class Step>
    LAP_INLINE static void weights(const uint8_t* at, int8x16_t* w) {
        nibble_weights<Step::kPairs>(at, w);
    }

    // Six-bit scales and minima (drawing in kernels/blocks.h).
    template <bool kPairs>
    struct Rows {
        static constexpr int kRowCells = kQuads * (kPairs ? 2 : 1);
        int32x4_t scales[kGroupBlocks][kRowCells], minima[kGroupBlocks][kRowCells];

        LAP_INLINE void prepare(const uint8_t* unit) {
            const uint8x16_t six = vdupq_n_u8(63), four = vdupq_n_u8(15), top = vdupq_n_u8(0x30);
            const uint8_t* bytes = unit + kQ4KScales;
            for (int b = 0; b < 4; ++b) {
                const uint8x16_t scale = vld1q_u8(bytes + kPanel * b),
                                 minimum = vld1q_u8(bytes + kPanel * (b + 4));
                const uint8x16_t both = vld1q_u8(bytes + kPanel * (b + 8));
                widen<kPairs>(vandq_u8(scale, six), scales[b]);
                widen<kPairs>(vandq_u8(minimum, six), minima[b]);
                const uint8x16_t scale_top = vandq_u8(vshrq_n_u8(scale, 2), top);
                const uint8x16_t minimum_top = vandq_u8(vshrq_n_u8(minimum, 2), top);
                widen<kPairs>(vorrq_u8(vandq_u8(both, four), scale_top), scales[b + 4]);
                widen<kPairs>(vorrq_u8(vshrq_n_u8(both, 4), minimum_top), minima[b + 4]);
            }
        }
    };

    template <class Step, int kStrip, int J>
    LAP_INLINE static void add(const uint8_t* unit, int quad, const Rows<Step::kPairs>& rows,
                               const ColumnsOf<Step, J>& columns, float32x4_t* totals) {
        constexpr int kCellsOfQuad = Step::kPairs ? 2 : 1, kRowCells = kStrip * kCellsOfQuad,
                      kSums = kRowCells * J;
        const int first = quad * kCellsOfQuad;
        int32x4_t total[kSums], minimum[kSums];
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) total[i] = vdupq_n_s32(0);
        for (int b = 0; b < kGroupBlocks; ++b) {
            int32x4_t exact[kSums];
            sum_block<Step, Q4K, kStrip, J, 32>(unit + kQ4KNibbles + b * 4 * kPanelWordBytes + 16 * quad,
                                                columns.q, 2 * b, nullptr, exact);
            LAP_UNROLL
            for (int i = 0; i < kSums; ++i)
                total[i] = vmlaq_s32(total[i], exact[i], rows.scales[b][first + i / J]);
        }
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) minimum[i] = vdupq_n_s32(0);
        for (int b = 0; b < kGroupBlocks; ++b) {
            LAP_UNROLL
            for (int i = 0; i < kSums; ++i)
                minimum[i] = vmlaq_s32(minimum[i], columns.sums[b][i % J], rows.minima[b][first + i / J]);
        }
        float32x4_t d[kRowCells], dmin[kRowCells];
        half_factors<Step::kPairs, kStrip>(unit, quad, d);
        half_factors<Step::kPairs, kStrip>(unit + kPanelScaleBytes, quad, dmin);
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) {
            const float32x4_t scaled = vmulq_f32(d[i / J], vcvtq_f32_s32(total[i]));
            const float32x4_t sum = vfmsq_f32(scaled, dmin[i / J], vcvtq_f32_s32(minimum[i]));
            totals[i] = vfmaq_f32(totals[i], sum, columns.scales[i % J]);
        }
    }
};

struct Q6K {
    static constexpr Format kFormat = Format::q6_k;
    static constexpr int kOffset = 32, kLargest = 63, kChunkBytes = kQ6KSubBlockBytes;
    template <class Step, int J>
    using ColumnsOf = Columns<Step, J, 16, -kOffset>;

    // Low nibbles of two word groups, and bits 4 and 5 of all four K from the high bits above them.
    template <class Step>
    LAP_INLINE static void weights(const uint8_t* at, int8x16_t* w) {
        uint8x16_t a = vld1q_u8(at), b = vld1q_u8(at + kPanelWordBytes);
        uint8x16_t a_high = vld1q_u8(at + kQ6KHighBits), b_high = vshrq_n_u8(a_high, 4);
        pair_rows<Step::kPairs>(a, b);
        pair_rows<Step::kPairs>(a_high, b_high);
        const uint8x16_t six = vdupq_n_u8(63);
        w[0] = vreinterpretq_s8_u8(vandq_u8(vsliq_n_u8(a, a_high, 4), six));
        w[1] = vreinterpretq_s8_u8(vandq_u8(vsriq_n_u8(vshlq_n_u8(a_high, 2), a, 4), six));
        w[2] = vreinterpretq_s8_u8(vandq_u8(vsliq_n_u8(b, b_high, 4), six));
        w[3] = vreinterpretq_s8_u8(vandq_u8(vsriq_n_u8(vshlq_n_u8(b_high, 2), b, 4), six));
    }

    template <bool kPairs>
    struct Rows {
        int32x4_t scales[kChunks][kQuads * (kPairs ? 2 : 1)];

        LAP_INLINE void prepare(const uint8_t* unit) {
            for (int b = 0; b < kGroupBlocks; ++b) {
                const int8x16x2_t halves =
                    vld2q_s8(reinterpret_cast<const int8_t*>(unit + kQ6KScales + b * 2 * kPanel));
                widen<kPairs>(halves.val[0], scales[2 * b]);
                widen<kPairs>(halves.val[1], scales[2 * b + 1]);
            }
        }
    };

    template <class Step, int kStrip, int J>
    LAP_INLINE static void add(const uint8_t* unit, int quad, const Rows<Step::kPairs>& rows,
                               const ColumnsOf<Step, J>& columns, float32x4_t* totals) {
        constexpr int kCellsOfQuad = Step::kPairs ? 2 : 1, kRowCells = kStrip * kCellsOfQuad,
                      kSums = kRowCells * J;
        const int first = quad * kCellsOfQuad;
        int32x4_t total[kSums];
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) total[i] = vdupq_n_s32(0);
        for (int chunk = 0; chunk < kChunks; ++chunk) {
            int32x4_t exact[kSums];
            sum_block<Step, Q6K, kStrip, J, 16>(unit + kQ6KValues + chunk * kQ6KSubBlockBytes + 16 * quad,
                                                columns.q, chunk, columns.sums[chunk], exact);
            LAP_UNROLL
            for (int i = 0; i < kSums; ++i)
                total[i] = vmlaq_s32(total[i], exact[i], rows.scales[chunk][first + i / J]);
        }
        float32x4_t d[kRowCells];
        half_factors<Step::kPairs, kStrip>(unit, quad, d);
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) {
            const float32x4_t sum = vmulq_f32(d[i / J], vcvtq_f32_s32(total[i]));
            totals[i] = vfmaq_f32(totals[i], sum, columns.scales[i % J]);
        }
    }
};

}  // namespace
