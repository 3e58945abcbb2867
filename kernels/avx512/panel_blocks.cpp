// Product of q4_0 and q8_0 panels and int8 activations with AVX-512 VNNI: a lane owns a row, vpdpbusd sums four
// K. Weights stay unsigned, so every block of 32 K starts from minus the offset times the sum of its activations.
// Called through the table (kernels.inc); the order of operations is in kernels/panels.h.
#include "kernels/avx512/panel_int8.inl"

namespace lapidary::kernels::avx512 {
namespace {

struct Q4_0 {
    static constexpr Format kFormat = Format::q4_0;
    static constexpr TileShape kTile = kTile_panel_matmul_q4_0;
    static constexpr int kOffsetShift = 0;  // of "-8 times the sum"
    static constexpr int64_t kEightBytes = kPanelWordBytes;
    LAP_INLINE static void unpack(const uint8_t* at, __m512i& even, __m512i& odd) { unpack_nibbles(at, even, odd); }
};

struct Q8_0 {
    static constexpr Format kFormat = Format::q8_0;
    static constexpr TileShape kTile = kTile_panel_matmul_q8_0;
    static constexpr int kOffsetShift = 4;
    static constexpr int64_t kEightBytes = 2 * kPanelWordBytes;
    LAP_INLINE static void unpack(const uint8_t* at, __m512i& even, __m512i& odd) {
        even = load(at);
        odd = load(at + kPanelWordBytes);
    }
};

template <class Block>
struct BlockGroup : Block {
    using Block::kFormat;
    static constexpr int64_t kSteps = kGroupBlocks, kKeepFrom = 3;

    template <int kPanels>
    using Kept = Bytes<kPanels>;

    template <Turn kTurn, int kPanels, int kWidth>
    LAP_INLINE static void group(const Tile& tile, Bytes<kPanels>& bytes, Inputs<kWidth> in, __m512* sums) {
        Panels panels = tile.panels;
        constexpr int kSums = kPanels * kWidth;
        LAP_UNROLL
        for (int i = 0; i < kSums; ++i) sums[i] = _mm512_setzero_ps();
        LAP_NO_UNROLL
        for (int64_t unit = 0; unit < kGroupBlocks; unit += 2, panels.at += panel_unit_bytes(kFormat), in.skip(64)) {
            LAP_UNROLL
            for (int b = 0; b < 2; ++b) {
                fetch_part<kTurn, kPanels>(tile, unit + b);
                __m512i exact[kSums];
                LAP_UNROLL
                for (int i = 0; i < kSums; ++i)
                    exact[i] = _mm512_slli_epi32(broadcast(in.offsets + i / kPanels * in.offsets_stride + b),
                                                 Block::kOffsetShift);
                Panels values = panels;
                values.at += panel_block_values(kFormat, b);
                LAP_UNROLL
                for (int i = 0; i < 4; ++i, values.at += Block::kEightBytes) {
                    fetch_alone<kTurn, kPanels, Block::kEightBytes / 64>(values);
                    multiply_eight<kTurn, kPanels, kWidth>(values, bytes, (unit + b) * 4 + i, in, b * 32 + i * 8,
                                                           Block::unpack, exact);
                }
                LAP_UNROLL
                for (int p = 0; p < kPanels; ++p) {
                    const __m512 d = load_half(panels.at + p * panels.stride + panel_block_scales(kFormat, b));
                    LAP_UNROLL
                    for (int i = p; i < kSums; i += kPanels)
                        sums[i] = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(exact[i]), sums[i]);
                }
            }
        }
    }
};

}  // namespace

void panel_matmul_q4_0(const PanelMatmulArgs& a) { multiply_panels<Quantised<BlockGroup<Q4_0>>>(a); }
void panel_matmul_q8_0(const PanelMatmulArgs& a) { multiply_panels<Quantised<BlockGroup<Q8_0>>>(a); }

}  // namespace lapidary::kernels::avx512
