// The step of matrix products: usmmla adds eight K of two rows and two columns. Included once, inside the
// level's namespace, by panels.cpp of neon_i8mm. One column is left to Dot.
namespace {

struct Matrix {
    static constexpr bool kPairs = true, kUnsigned = true;
    static constexpr int kCells = 16;

    // Two columns side by side, each with the K that the operands of panel_formats.inl have in a half.
    template <int J>
    struct Activations {
        int8x16_t halves[kChunks][2][J];

        LAP_INLINE void prepare(const Inputs& in) {
            for (int j = 0; j < J; ++j) {
                const int8_t *first = in.q(2 * j), *second = in.q(2 * j + 1);
                for (int chunk = 0; chunk < kChunks; ++chunk) {
                    const int32x4_t a = vreinterpretq_s32_s8(vld1q_s8(first + 16 * chunk));
                    const int32x4_t b = vreinterpretq_s32_s8(vld1q_s8(second + 16 * chunk));
                    halves[chunk][0][j] = vreinterpretq_s8_s32(vuzp1q_s32(a, b));
                    halves[chunk][1][j] = vreinterpretq_s8_s32(vuzp2q_s32(a, b));
                }
            }
        }
    };

    template <int kLargest, int N, int J>
    struct Block {
        int32x4_t sums[N * J];

        LAP_INLINE void start(const int32x4_t* from) {
            LAP_UNROLL
            for (int i = 0; i < N * J; ++i) sums[i] = from ? from[i % J] : vdupq_n_s32(0);
        }
        LAP_INLINE void add(int quad, const int8x16_t* w, const Activations<J>& q, int chunk, bool) {
            LAP_UNROLL
            for (int half = 0; half < 2; ++half) {
                LAP_UNROLL
                for (int j = 0; j < J; ++j) {
                    const int8x16_t x = q.halves[chunk][half][j];
                    int32x4_t &upper = sums[2 * quad * J + j], &lower = sums[(2 * quad + 1) * J + j];
                    upper = vusmmlaq_s32(upper, vreinterpretq_u8_s8(w[half]), x);
                    lower = vusmmlaq_s32(lower, vreinterpretq_u8_s8(w[2 + half]), x);
                }
            }
        }
        LAP_INLINE void finish(const int32x4_t*, int32x4_t* exact) {
            LAP_UNROLL
            for (int i = 0; i < N * J; ++i) exact[i] = sums[i];
        }
    };
};

}  // namespace
