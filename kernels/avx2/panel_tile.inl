// What the panel kernels of `avx2` and `avxvnni` share: how panels and columns are cut into register tiles of 8
// rows ("strips") times a few columns, and how many columns share weights that were unpacked once.
// Included once by each panel_<format>.cpp, which names its level in LAP_PANEL_LEVEL; hence the unnamed namespace.
#include <immintrin.h>

#include "kernels/declare.h"
#include "kernels/panel_tiles.h"

#ifdef __clang__
#define LAP_UNROLL _Pragma("unroll")
#else
#define LAP_UNROLL _Pragma("GCC unroll 16")
#endif

namespace lapidary::kernels::LAP_PANEL_LEVEL {
namespace {

constexpr int kStripsOfPanel = 2;
constexpr int kStripRows = 8;
constexpr int64_t kPrefetchBytes = 4096;  // how far ahead of its use a panel is fetched

LAP_INLINE __m256i load(const void* at) { return _mm256_load_si256(static_cast<const __m256i*>(at)); }
LAP_INLINE __m256 load_half(const uint8_t* at) {
    return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(at)));
}
LAP_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }  // std headers stay out of ISA files
LAP_INLINE void prefetch(const void* at) { _mm_prefetch(static_cast<const char*>(at), _MM_HINT_T0); }
LAP_INLINE __m256i broadcast(const void* four) {
    int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm256_set1_epi32(word);
}

// int8 activations at some K of a few columns.
struct Inputs {
    const int8_t* q;
    int64_t q_stride;
    const int16_t* sums;
    int64_t sums_stride;
    const int32_t* offsets;
    int64_t offsets_stride;
    const float* scales;  // of the group
    int64_t scales_stride;
};

LAP_INLINE Inputs inputs_at(const PanelInput& x, int64_t column, int64_t group) {
    const int64_t groups = x.k / kActivationGroup;
    return {x.q + column * x.q_stride + group * kActivationGroup, x.q_stride,
            x.sums + (column * x.k + group * kActivationGroup) / 16, x.k / 16,
            x.offsets + (column * x.k + group * kActivationGroup) / 32, x.k / 32,
            x.scales + column * groups + group, groups};
}

LAP_INLINE Inputs from_column(Inputs in, int64_t column) {
    in.q += column * in.q_stride;
    in.sums += column * in.sums_stride;
    in.offsets += column * in.offsets_stride;
    in.scales += column * in.scales_stride;
    return in;
}

// sums[column][strip] of rows from panel `panel` on and columns `column` on: those rows that exist.
template <int kPanels, int kColumns>
LAP_INLINE void store_tile(const PanelMatmulArgs& a, int64_t panel, int64_t column, const __m256* sums) {
    constexpr int kStrips = kPanels * kStripsOfPanel;
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    LAP_UNROLL
    for (int i = 0; i < kStrips * kColumns; ++i) {
        const int64_t first = panel * kPanel + i % kStrips * kStripRows,
                      rows = a.rows - first < kStripRows ? a.rows - first : kStripRows;
        const __m256i exists = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rows)), lane);
        _mm256_maskstore_ps(a.y + (column + i / kStrips) * a.y_stride + first, exists, sums[i]);
    }
}

// Weights of a group of 256 K, unpacked where they are used. Format: kernels/avx2/panel_weights.inl.
template <class Format, int kPanels>
struct Packed {
    const uint8_t* at;
    int64_t stride;
    alignas(32) uint8_t tables[kPanels][Format::kTableBytes];

    LAP_INLINE void open() {
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) Format::decode_tables(at + p * stride, tables[p]);
    }
    LAP_INLINE const uint8_t* panel(int strip) const { return at + strip / kStripsOfPanel * stride; }
    LAP_INLINE const uint8_t* table(int strip) const { return tables[strip / kStripsOfPanel]; }
    LAP_INLINE __m256i weights(int64_t block, int step, int strip) const {
        return Format::weights(panel(strip), block, step, strip % kStripsOfPanel);
    }
    template <int>
    LAP_INLINE void fetch(const Inputs&, int64_t block) const {
        LAP_UNROLL
        for (int p = 0; p < kPanels; ++p) {
            const uint8_t* bytes = at + p * stride + block * Format::kFetchBytes + kPrefetchBytes;
            LAP_UNROLL
            for (int64_t i = 0; i < Format::kFetchBytes; i += 64) prefetch(bytes + i);
        }
    }
};

// The same of one panel, unpacked before: 8 blocks of kSteps steps (4 K as bytes or 2 K in 16 bits) x 16 rows.
template <class Format>
struct Expanded {
    const uint8_t* at;
    alignas(32) uint8_t tables[Format::kTableBytes];
    alignas(64) uint8_t steps[kGroupBlocks * Format::kSteps * 4 * kPanel];

    LAP_INLINE void open(const uint8_t* group) {
        at = group;
        Format::decode_tables(group, tables);
        for (int64_t b = 0; b < kGroupBlocks; ++b) {
            LAP_UNROLL
            for (int i = 0; i < 2 * Format::kSteps; ++i)
                _mm256_store_si256(reinterpret_cast<__m256i*>(steps + (b * 2 * Format::kSteps + i) * 32),
                                   Format::weights(group, b, i / 2, i % 2));
        }
    }
    LAP_INLINE const uint8_t* panel(int) const { return at; }
    LAP_INLINE const uint8_t* table(int) const { return tables; }
    LAP_INLINE __m256i weights(int64_t block, int step, int strip) const {
        return load(steps + ((block * Format::kSteps + step) * 2 + strip) * 32);
    }
    // The next group of these columns: each is a short piece of a long row, which the processor does not foresee.
    template <int kColumns>
    LAP_INLINE void fetch(const Inputs& in, int64_t block) const {
        if (block % 2 != 0) return;
        LAP_UNROLL
        for (int c = 0; c < kColumns; ++c) prefetch(in.q + c * in.q_stride + kActivationGroup + block * 32);
    }
};

// A Group has Weights, kTile and group<kStrips, kColumns>(source, inputs, sums): sums of a group of 256 K,
// without the activation scales. For unpacked weights it may have prepare(inputs, columns, to [columns]
// [kPreparedBytes]), which writes activations in the form it wants.
template <class Group, int kPanels, int kColumns>
void multiply_packed(const PanelMatmulArgs& a, int64_t panel, int64_t column) {
    using Weights = typename Group::Weights;
    constexpr int kStrips = kPanels * kStripsOfPanel;
    const int64_t stride = panel_bytes(Weights::kFormat, a.x.k);
    Packed<Weights, kPanels> source;
    source.at = static_cast<const uint8_t*>(a.panels) + panel * stride;
    source.stride = stride;
    __m256 totals[kStrips * kColumns];
    LAP_UNROLL
    for (int i = 0; i < kStrips * kColumns; ++i) totals[i] = _mm256_setzero_ps();
    for (int64_t group = 0; group < a.x.k / kActivationGroup; ++group) {
        const Inputs in = inputs_at(a.x, column, group);
        __m256 sums[kStrips * kColumns];
        source.open();
        Group::template group<kStrips, kColumns>(source, in, sums);
        LAP_UNROLL
        for (int i = 0; i < kStrips * kColumns; ++i)
            totals[i] = _mm256_fmadd_ps(_mm256_set1_ps(in.scales[i / kStrips * in.scales_stride]), sums[i], totals[i]);
        source.at += panel_group_bytes(Weights::kFormat);
    }
    store_tile<kPanels, kColumns>(a, panel, column, totals);
}

constexpr int64_t kExpandColumns = 12;  // from so many on unpacking pays its stores
constexpr int64_t kBlockColumns = 96;   // whose 256 K of activations stay in L1 and L2 while panels go by
constexpr int64_t kBlockPanels = 8;     // that use them; totals take 48 KB of stack

// totals [column][16 rows] += a group of kColumns columns.
template <class Group, int kColumns>
__attribute__((noinline)) void add_group(const Expanded<typename Group::Weights>& source, const Inputs& in,
                                         float* totals) {
    constexpr int kSums = kStripsOfPanel * kColumns;
    __m256 sums[kSums];
    Group::template group<kStripsOfPanel, kColumns>(source, in, sums);
    LAP_UNROLL
    for (int i = 0; i < kSums; ++i) {
        const __m256 scale = _mm256_set1_ps(in.scales[i / kStripsOfPanel * in.scales_stride]);
        float* total = totals + i * kStripRows;
        _mm256_store_ps(total, _mm256_fmadd_ps(scale, sums[i], _mm256_load_ps(total)));
    }
}

// Bytes a column of a Group that prepares activations for itself; else 0, and they are read in place.
template <class Group>
constexpr int64_t prepared_bytes() {
    if constexpr (requires { Group::kPreparedBytes; }) return Group::kPreparedBytes;
    return 0;
}

// Up to kBlockPanels panels times up to kBlockColumns columns. K is the outer loop: activations, which may come from
// L3, are read once for all panels, and a group of a panel is unpacked once for all columns.
template <class Group>
void multiply_expanded(const PanelMatmulArgs& a, int64_t begin, int64_t end, int64_t column, int64_t columns) {
    using Weights = typename Group::Weights;
    const int64_t stride = panel_bytes(Weights::kFormat, a.x.k), group_bytes = panel_group_bytes(Weights::kFormat);
    alignas(64) float totals[kBlockPanels * kBlockColumns * kPanel];
    for (int64_t i = 0; i < (end - begin) * columns * kPanel; ++i) totals[i] = 0;
    constexpr int64_t kPrepared = prepared_bytes<Group>();
    alignas(64) int8_t room[kBlockColumns * kPrepared + 1];
    Expanded<Weights> source;
    for (int64_t group = 0; group < a.x.k / kActivationGroup; ++group) {
        Inputs all = inputs_at(a.x, column, group);
        if constexpr (kPrepared > 0) {
            Group::prepare(all, columns, room);
            all.q = room;
            all.q_stride = kPrepared;
        }
        for (int64_t p = begin; p < end; ++p) {
            const uint8_t* at = static_cast<const uint8_t*>(a.panels) + p * stride + group * group_bytes;
            source.open(at);
            if (p + 1 < end)
                for (int64_t i = 0; i < group_bytes; i += 64) prefetch(at + stride + i);
            for (int64_t c = 0; c < columns;) {
                const int64_t width = tile_width(columns - c, Group::kTile.columns);
                const Inputs in = from_column(all, c);
                float* total = totals + ((p - begin) * columns + c) * kPanel;
                with_constant<1, Group::kTile.columns>(
                    width, [&](auto count) { add_group<Group, count.value>(source, in, total); });
                c += width;
            }
        }
    }
    for (int64_t i = 0; i < (end - begin) * columns; ++i) {
        const __m256 sums[kStripsOfPanel] = {_mm256_load_ps(totals + i * kPanel),
                                             _mm256_load_ps(totals + i * kPanel + kStripRows)};
        store_tile<1, 1>(a, begin + i / columns, column + i % columns, sums);
    }
}

// Few: the Group for few columns; Many: the one for unpacked weights. One or two columns take two panels at a time: more
// sums that do not wait for each other.
template <class Few, class Many = Few>
void multiply_panels(const PanelMatmulArgs& a) {
    const bool expand = Many::Weights::kUnpacks && a.x.columns >= kExpandColumns;
    for_panels(a, expand ? kBlockPanels : panels_of_tile(Few::Weights::kFormat, a.x.k), [&](int64_t begin, int64_t end) {
        for (int64_t c = 0; expand && c < a.x.columns; c += kBlockColumns)
            multiply_expanded<Many>(a, begin, end, c, smaller(a.x.columns - c, kBlockColumns));
        if (expand) return;
        for_tiles<Few::kTile>(a, begin, end, [&](auto panels, auto columns, int64_t panel, int64_t column) {
            multiply_packed<Few, panels.value, columns.value>(a, panel, column);
        });
    });
}

}  // namespace
}  // namespace lapidary::kernels::LAP_PANEL_LEVEL
