// Number formats of weights, activations and caches: the block layouts of GGUF, as they lie in a file.
// Plain data only; this header may be included everywhere, also by files compiled for one ISA.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lapidary::kernels {

// The order is ours; the numbers that GGUF uses are mapped in runtime/file/gguf.cpp.
enum class Format : uint8_t {
    f32, f16, bf16,
    q4_0, q4_1, q5_0, q5_1, q8_0,
    q2_k, q3_k, q4_k, q5_k, q6_k,
    iq4_nl, iq4_xs,
    i32,  // token ids; never a weight
};
inline constexpr int kFormats = 15;  // weight formats: f32 to iq4_xs

// Values in one block, and bytes of one block.
constexpr int64_t block_values(Format f) {
    switch (f) {
        case Format::q4_0: case Format::q4_1: case Format::q5_0: case Format::q5_1:
        case Format::q8_0: case Format::iq4_nl: return 32;
        case Format::q2_k: case Format::q3_k: case Format::q4_k: case Format::q5_k:
        case Format::q6_k: case Format::iq4_xs: return 256;
        default: return 1;
    }
}
constexpr int64_t block_bytes(Format f) {
    switch (f) {
        case Format::f32: case Format::i32: return 4;
        case Format::f16: case Format::bf16: return 2;
        case Format::q4_0: case Format::iq4_nl: return 18;
        case Format::q4_1: return 20;
        case Format::q5_0: return 22;
        case Format::q5_1: return 24;
        case Format::q8_0: return 34;
        case Format::q2_k: return 84;
        case Format::q3_k: return 110;
        case Format::q4_k: return 144;
        case Format::q5_k: return 176;
        case Format::q6_k: return 210;
        case Format::iq4_xs: return 136;
    }
    return 0;
}
// Bytes of a row of `values` values; values must be a multiple of block_values(f).
constexpr int64_t row_bytes(Format f, int64_t values) {
    return values / block_values(f) * block_bytes(f);
}
constexpr bool is_quantised(Format f) { return f >= Format::q4_0 && f <= Format::iq4_xs; }
constexpr const char* name(Format f) {
    constexpr const char* kNames[] = {"f32",  "f16",  "bf16", "q4_0", "q4_1", "q5_0",   "q5_1",   "q8_0",
                                      "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "i32"};
    return kNames[static_cast<int>(f)];
}

// Matmul input for quantised weights: int8 with one f32 scale per kActivationBlock values along K.
inline constexpr int64_t kActivationBlock = 32;

// How keys and values are cached. q8_0: int8 with one f16 scale per 32 values, in two planes.
enum class KvFormat : uint8_t { f32, f16, q8_0 };
constexpr const char* name(KvFormat f) {
    return f == KvFormat::f32 ? "f32" : f == KvFormat::f16 ? "f16" : "q8_0";
}
// Bytes of the row of one position and kv head in each plane of a cache; scales only for q8_0.
struct KvRowBytes {
    int64_t k = 0, v = 0, k_scales = 0, v_scales = 0;
};

}  // namespace lapidary::kernels
