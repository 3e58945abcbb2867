// Quantised panels unpacked to unsigned bytes in 256-bit registers: a step is four K of 8 rows, row after row.
// For the panel kernels of `avx2` and `avxvnni`, beside panel_tile.inl. Drawings: kernels/panels.h.
// A format has weights(group, block of 32 K, step 0 to kSteps - 1, strip), kFetchBytes per block, and tables of
// bytes or floats that are decoded once per group (kTableBytes; 32 that nobody reads where there are none).
namespace lapidary::kernels::LAP_PANEL_LEVEL {
namespace {

// Four K of 8 rows in nibbles: step 2 i is the low, 2 i + 1 the high nibble of word group i.
LAP_INLINE __m256i nibbles(const uint8_t* words, int step, int strip) {
    const __m256i v = load(words + step / 2 * kPanelWordBytes + strip * 32);
    return _mm256_and_si256(step % 2 ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(15));
}

// Tables: the scales as floats [8 blocks][16 rows].
template <Format kBlocks>
struct BlockWeights {
    static constexpr Format kFormat = kBlocks;
    static constexpr int kTableBytes = kGroupBlocks * kPanel * 4;
    static constexpr int64_t kFetchBytes = panel_unit_bytes(kBlocks) / 2;

    LAP_INLINE static void decode_tables(const uint8_t* group, uint8_t* tables) {
        LAP_UNROLL
        for (int i = 0; i < 2 * kGroupBlocks; ++i)
            _mm256_store_ps(reinterpret_cast<float*>(tables) + i * kStripRows,
                            load_half(group + panel_block_scales(kBlocks, i / 2) + i % 2 * 16));
    }
    LAP_INLINE static __m256 scale(const uint8_t* tables, int64_t block, int strip) {
        return _mm256_load_ps(reinterpret_cast<const float*>(tables) + block * kPanel + strip % kStripsOfPanel * kStripRows);
    }
};

// sums[column][strip] += the scales of a block times its exact sums.
template <class Weights, int kStrips, int kColumns, class Source>
LAP_INLINE void add_scaled(const Source& source, int64_t block, const __m256i* exact, __m256* sums) {
    LAP_UNROLL
    for (int s = 0; s < kStrips; ++s) {
        const __m256 d = Weights::scale(source.table(s), block, s);
        LAP_UNROLL
        for (int i = s; i < kStrips * kColumns; i += kStrips)
            sums[i] = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(exact[i]), sums[i]);
    }
}

struct WeightsQ4_0 : BlockWeights<Format::q4_0> {
    static constexpr bool kUnpacks = true;
    static constexpr int kSteps = 8;
    LAP_INLINE static __m256i weights(const uint8_t* group, int64_t block, int step, int strip) {
        return nibbles(group + panel_block_values(Format::q4_0, block), step, strip);
    }
};

struct WeightsQ8_0 : BlockWeights<Format::q8_0> {
    static constexpr bool kUnpacks = false;
    static constexpr int kSteps = 8;
    LAP_INLINE static __m256i weights(const uint8_t* group, int64_t block, int step, int strip) {
        return load(group + panel_block_values(Format::q8_0, block) + step * kPanelWordBytes + strip * 32);
    }
};

// Tables: bytes [8 blocks][16 rows] of scales, then of minima.
struct WeightsQ4K {
    static constexpr Format kFormat = Format::q4_k;
    static constexpr bool kUnpacks = true;
    static constexpr int kSteps = 8;
    static constexpr int kTableBytes = 2 * kGroupBlocks * kPanel;
    static constexpr int64_t kFetchBytes = panel_group_bytes(Format::q4_k) / kGroupBlocks;

    LAP_INLINE static __m256i weights(const uint8_t* group, int64_t block, int step, int strip) {
        return nibbles(group + kQ4KNibbles + block * 4 * kPanelWordBytes, step, strip);
    }
    // The twelve bytes of a row hold six bits each (drawing in kernels/blocks.h); here for 16 rows at once.
    LAP_INLINE static void decode_tables(const uint8_t* group, uint8_t* tables) {
        const __m128i low = _mm_set1_epi8(15), six = _mm_set1_epi8(63), top = _mm_set1_epi8(0x30);
        const auto at = [&](int64_t i) {
            return _mm_load_si128(reinterpret_cast<const __m128i*>(group + kQ4KScales + kPanel * i));
        };
        const auto put = [&](int64_t i, __m128i v) {
            _mm_store_si128(reinterpret_cast<__m128i*>(tables + kPanel * i), v);
        };
        LAP_UNROLL
        for (int64_t b = 0; b < 4; ++b) {
            const __m128i scales = at(b), minima = at(b + 4), rest = at(b + 8);
            put(b, _mm_and_si128(scales, six));
            put(b + 8, _mm_and_si128(minima, six));
            put(b + 4, _mm_or_si128(_mm_and_si128(rest, low), _mm_and_si128(_mm_srli_epi16(scales, 2), top)));
            put(b + 12, _mm_or_si128(_mm_and_si128(_mm_srli_epi16(rest, 4), low),
                                     _mm_and_si128(_mm_srli_epi16(minima, 2), top)));
        }
    }
    LAP_INLINE static const uint8_t* scales(const uint8_t* tables, int64_t block) { return tables + block * kPanel; }
    LAP_INLINE static const uint8_t* minima(const uint8_t* tables, int64_t block) {
        return tables + (kGroupBlocks + block) * kPanel;
    }
};

struct WeightsQ6K {
    static constexpr Format kFormat = Format::q6_k;
    static constexpr bool kUnpacks = true;
    static constexpr int kSteps = 8;
    static constexpr int kTableBytes = 32;
    static constexpr int64_t kFetchBytes = panel_group_bytes(Format::q6_k) / kGroupBlocks;

    LAP_INLINE static void decode_tables(const uint8_t*, uint8_t*) {}
    LAP_INLINE static __m256i weights(const uint8_t* group, int64_t block, int step, int strip) {
        const uint8_t* at = group + kQ6KValues + (2 * block + step / 4) * kQ6KSubBlockBytes;
        __m256i high = load(at + kQ6KHighBits + strip * 32);
        switch (step % 4) {
            case 0: high = _mm256_slli_epi16(high, 4); break;
            case 1: high = _mm256_slli_epi16(high, 2); break;
            case 2: break;
            default: high = _mm256_srli_epi16(high, 2); break;
        }
        return _mm256_or_si256(nibbles(at, step % 4, strip), _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
    }
    // Scales of a block of 8 rows, those of its two halves of 16 K as a pair of 16 bits.
    LAP_INLINE static __m256i scale_pairs(const uint8_t* group, int64_t block, int strip) {
        const uint8_t* at = group + kQ6KScales + block * 2 * kPanel + strip % kStripsOfPanel * 16;
        return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(at)));
    }
};

}  // namespace
}  // namespace lapidary::kernels::LAP_PANEL_LEVEL
