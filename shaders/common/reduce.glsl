// Sums and maxima over the workgroup, in an order that depends on its size alone. Every thread calls, every thread gets
// the result. One array serves all: a second call waits until the first result was read.
shared float reduce_lanes[gl_WorkGroupSize.x];

#define LAP_REDUCE(name, combine)                                                    \
    float name(float mine) {                                                         \
        const uint lane = gl_LocalInvocationIndex;                                   \
        barrier();                                                                   \
        reduce_lanes[lane] = mine;                                                   \
        for (uint half_ = gl_WorkGroupSize.x / 2; half_ > 0; half_ /= 2) {           \
            barrier();                                                               \
            if (lane < half_) {                                                      \
                const float a = reduce_lanes[lane], b = reduce_lanes[lane + half_];  \
                reduce_lanes[lane] = combine;                                        \
            }                                                                        \
        }                                                                            \
        barrier();                                                                   \
        return reduce_lanes[0];                                                      \
    }
LAP_REDUCE(sum_of_all, a + b)
LAP_REDUCE(max_of_all, max(a, b))
