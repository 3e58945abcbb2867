// What q4_k and q6_k share on `avx2` and `avxvnni`, beside panel_weights.inl: exact integers of a group of 256 K, sums of
// activations times minima or scales, and the floats at the end. Pairs is how a level adds up products of 16 bits: pairs(sum,
// a, b) = sum + two of them per lane.
namespace lapidary::kernels::LAP_PANEL_LEVEL {
namespace {

template <int kSums>
LAP_INLINE void clear(__m256i* sums) {
    LAP_UNROLL
    for (int i = 0; i < kSums; ++i) sums[i] = _mm256_setzero_si256();
}

// Pairs of 16-bit factors, one pair per 16 K of a block of 32, times the activation sums: total[column][strip] +=.
template <class Pairs, int kStrips, int kColumns>
LAP_INLINE void add_sums(const __m256i* factors, const Inputs& in, int64_t block, __m256i* total) {
    LAP_UNROLL
    for (int c = 0; c < kColumns; ++c) {
        const __m256i pair = broadcast(in.sums + c * in.sums_stride + 2 * block);
        LAP_UNROLL
        for (int s = 0; s < kStrips; ++s) total[c * kStrips + s] = Pairs::add(total[c * kStrips + s], factors[s], pair);
    }
}

// sums[column][strip] = d total - dmin minimum.
template <int kStrips, int kColumns, class Source>
LAP_INLINE void finish_q4_k(const Source& source, const __m256i* total, const __m256i* minimum, __m256* sums) {
    LAP_UNROLL
    for (int i = 0; i < kStrips * kColumns; ++i) {
        const uint8_t* unit = source.panel(i % kStrips) + i % kStrips % kStripsOfPanel * 16;
        const __m256 scaled = _mm256_mul_ps(load_half(unit), _mm256_cvtepi32_ps(total[i]));
        sums[i] = _mm256_fnmadd_ps(load_half(unit + kPanelScaleBytes), _mm256_cvtepi32_ps(minimum[i]), scaled);
    }
}

// sums[column][strip] = d (total - 32 times the sums of scale q), which unsigned six bits added too much.
template <class Pairs, int kStrips, int kColumns, class Source>
LAP_INLINE void finish_q6_k(const Source& source, const Inputs& in, const __m256i* total, __m256* sums) {
    constexpr int kSums = kStrips * kColumns;
    __m256i offset[kSums];
    clear<kSums>(offset);
    for (int64_t b = 0; b < kGroupBlocks; ++b) {
        __m256i factors[kStrips];
        LAP_UNROLL
        for (int s = 0; s < kStrips; ++s) factors[s] = WeightsQ6K::scale_pairs(source.panel(s), b, s);
        add_sums<Pairs, kStrips, kColumns>(factors, in, b, offset);
    }
    LAP_UNROLL
    for (int i = 0; i < kSums; ++i) {
        const __m256i exact = _mm256_sub_epi32(total[i], _mm256_slli_epi32(offset[i], 5));
        const __m256 d = load_half(source.panel(i % kStrips) + i % kStrips % kStripsOfPanel * 16);
        sums[i] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(exact));
    }
}

}  // namespace
}  // namespace lapidary::kernels::LAP_PANEL_LEVEL
