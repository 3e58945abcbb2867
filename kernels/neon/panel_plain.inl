// The step of plain NEON: bytes multiply into 16 bits, which are added in pairs. Included once, inside the
// level's namespace, by panels.cpp. |q| is at most 127 (kernels/panels.h).
namespace {

struct Plain {
    static constexpr bool kPairs = false, kUnsigned = false;
    static constexpr int kCells = 8;

    // The four K of a word, in all lanes.
    template <int J>
    struct Activations {
        int8x16_t words[4 * kChunks][J];

        LAP_INLINE void prepare(const Inputs& in) {
            for (int j = 0; j < J; ++j) {
                for (int chunk = 0; chunk < kChunks; ++chunk) {
                    const int32x4_t four = vreinterpretq_s32_s8(vld1q_s8(in.q(j) + 16 * chunk));
                    words[4 * chunk][j] = vreinterpretq_s8_s32(vdupq_laneq_s32(four, 0));
                    words[4 * chunk + 1][j] = vreinterpretq_s8_s32(vdupq_laneq_s32(four, 1));
                    words[4 * chunk + 2][j] = vreinterpretq_s8_s32(vdupq_laneq_s32(four, 2));
                    words[4 * chunk + 3][j] = vreinterpretq_s8_s32(vdupq_laneq_s32(four, 3));
                }
            }
        }
    };

    // Sums of products in 16 bits, of rows 0 and 1 (low) and 2 and 3 (high). Nibbles: eight words of 15 * 127
    // in a lane make 15240, two lanes 30480. Six bits: four words of 63 * 127 make 32004, and no two lanes
    // fit.
    template <int kLargest, int N, int J>
    struct Block {
        static_assert((kLargest <= 15 ? 16 : 4) * kLargest * 127 <= 32767);
        int16x8_t low[N * J], high[N * J];

        LAP_INLINE void start(const int32x4_t*) {}
        LAP_INLINE void add(int quad, const int8x16_t* w, const Activations<J>& q, int chunk, bool first) {
            LAP_UNROLL
            for (int i = 0; i < 4; ++i) {
                LAP_UNROLL
                for (int j = 0; j < J; ++j) {
                    const int8x16_t x = q.words[4 * chunk + i][j];
                    int16x8_t &l = low[quad * J + j], &h = high[quad * J + j];
                    const bool begin = first && i == 0;
                    l = begin ? vmull_s8(vget_low_s8(w[i]), vget_low_s8(x))
                              : vmlal_s8(l, vget_low_s8(w[i]), vget_low_s8(x));
                    h = begin ? vmull_high_s8(w[i], x) : vmlal_high_s8(h, w[i], x);
                }
            }
        }
        LAP_INLINE void finish(const int32x4_t* from, int32x4_t* exact) {
            LAP_UNROLL
            for (int i = 0; i < N * J; ++i) {
                const int32x4_t start = from ? from[i % J] : vdupq_n_s32(0);
                if constexpr (kLargest <= 15) {
                    const int16x8_t pairs = vpaddq_s16(low[i], high[i]);
                    exact[i] = from ? vpadalq_s16(start, pairs) : vpaddlq_s16(pairs);
                } else {
                    exact[i] = vaddq_s32(start, vpaddq_s32(vpaddlq_s16(low[i]), vpaddlq_s16(high[i])));
                }
            }
        }
    };

    // Whole bytes: two products of at most 128 * 127 are all that 16 bits hold.
    template <int N, int J>
    struct Block<128, N, J> {
        static_assert(2 * 128 * 127 <= 32767);
        int32x4_t low[N * J], high[N * J];

        LAP_INLINE void start(const int32x4_t*) {}
        LAP_INLINE void add(int quad, const int8x16_t* w, const Activations<J>& q, int chunk, bool first) {
            LAP_UNROLL
            for (int i = 0; i < 4; i += 2) {
                LAP_UNROLL
                for (int j = 0; j < J; ++j) {
                    const int8x16_t x = q.words[4 * chunk + i][j], next = q.words[4 * chunk + i + 1][j];
                    const int16x8_t l = vmlal_s8(vmull_s8(vget_low_s8(w[i]), vget_low_s8(x)),
                                                 vget_low_s8(w[i + 1]), vget_low_s8(next));
                    const int16x8_t h = vmlal_high_s8(vmull_high_s8(w[i], x), w[i + 1], next);
                    const bool begin = first && i == 0;
                    low[quad * J + j] = begin ? vpaddlq_s16(l) : vpadalq_s16(low[quad * J + j], l);
                    high[quad * J + j] = begin ? vpaddlq_s16(h) : vpadalq_s16(high[quad * J + j], h);
                }
            }
        }
        LAP_INLINE void finish(const int32x4_t*, int32x4_t* exact) {
            LAP_UNROLL
            for (int i = 0; i < N * J; ++i) exact[i] = vpaddq_s32(low[i], high[i]);
        }
    };
};

}  // namespace
