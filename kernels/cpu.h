// What this CPU and its operating system can execute. Own detection: CPUID and XGETBV, or the kernel's auxv.
#pragma once

namespace lapidary::kernels {

struct CpuFeatures {
    bool avx2 = false;    // AVX2, FMA and F16C, with the registers saved by the operating system
    bool avx512 = false;  // AVX-512 F, BW, VL, DQ, VNNI on top of avx2
    bool neon = false;    // Advanced SIMD of arm64
};
CpuFeatures detect_cpu();

}  // namespace lapidary::kernels
