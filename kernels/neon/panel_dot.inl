// The step of dot products: sdot adds four K of four rows, the activations by lane. Included once, inside the
// level's namespace, by panels.cpp of neon_dot and neon_i8mm.
namespace {

struct Dot {
    static constexpr bool kPairs = false, kUnsigned = false;
    static constexpr int kCells = 16;

    // Read where they lie.
    template <int J>
    struct Activations {
        const int8_t* at;
        int64_t stride;

        LAP_INLINE void prepare(const Inputs& in) {
            at = in.q(0);
            stride = in.x.q_stride;
        }
    };

    template <int kLargest, int N, int J>
    struct Block {
        int32x4_t sums[N * J];

        LAP_INLINE void start(const int32x4_t* from) {
            LAP_UNROLL
            for (int i = 0; i < N * J; ++i) sums[i] = from ? from[i % J] : vdupq_n_s32(0);
        }
        template <int kWord>
        LAP_INLINE void add_word(int quad, int8x16_t w, const int8x16_t* x) {
            LAP_UNROLL
            for (int j = 0; j < J; ++j)
                sums[quad * J + j] = vdotq_laneq_s32(sums[quad * J + j], w, x[j], kWord);
        }
        LAP_INLINE void add(int quad, const int8x16_t* w, const Activations<J>& q, int chunk, bool) {
            int8x16_t x[J];
            LAP_UNROLL
            for (int j = 0; j < J; ++j) x[j] = vld1q_s8(q.at + j * q.stride + 16 * chunk);
            add_word<0>(quad, w[0], x);
            add_word<1>(quad, w[1], x);
            add_word<2>(quad, w[2], x);
            add_word<3>(quad, w[3], x);
        }
        LAP_INLINE void finish(const int32x4_t*, int32x4_t* exact) {
            LAP_UNROLL
            for (int i = 0; i < N * J; ++i) exact[i] = sums[i];
        }
    };
};

}  // namespace
