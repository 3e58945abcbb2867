// What this CPU and its operating system can execute. Own detection: CPUID and XGETBV, or the kernel's auxv.
#pragma once

namespace lapidary::kernels {

struct CpuFeatures {
    bool avx2 = false;    // AVX2, FMA and F16C, with the registers saved by the operating system
    bool avx512 = false;  // AVX-512 F, CD, BW, VL, DQ, VNNI on top of avx2
    bool avxvnni = false;      // VEX-encoded vpdpbusd on top of avx2
    bool avx512_bf16 = false;  // vdpbf16ps on top of avx512
    bool fast_bf16 = false;    // and it multiplies more than f32 in the same time: AMD's every cycle, Intel's every other
    bool neon = false;         // Advanced SIMD of arm64
    bool neon_dot = false;     // sdot on top of neon
    bool neon_i8mm = false;    // smmla on top of neon_dot
};
CpuFeatures detect_cpu();

}  // namespace lapidary::kernels
