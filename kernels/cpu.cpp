// CPU feature detection for select.cpp. Bit numbers: Intel SDM vol. 2A, CPUID; vol. 1, 13.3 for XCR0.
#include "kernels/cpu.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace lapidary::kernels {

#if defined(__x86_64__)
namespace {

constexpr bool bit(uint32_t word, int index) { return (word >> index & 1) != 0; }

// XCR0: which register files the operating system saves.
uint64_t read_xcr0() {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}

}  // namespace

CpuFeatures detect_cpu() {
    CpuFeatures features;
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return features;
    const bool os_saves = bit(c, 27), avx = bit(c, 28), fma = bit(c, 12), f16c = bit(c, 29);
    if (!os_saves || !avx || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
    const uint64_t saved = read_xcr0();
    constexpr uint64_t kYmm = 0x06, kZmm = 0xe6;  // SSE, AVX; and opmask, ZMM_Hi256, Hi16_ZMM
    features.avx2 = (saved & kYmm) == kYmm && bit(b, 5) && fma && f16c;
    const bool f = bit(b, 16), dq = bit(b, 17), cd = bit(b, 28), bw = bit(b, 30), vl = bit(b, 31), vnni = bit(c, 11);
    features.avx512 = features.avx2 && (saved & kZmm) == kZmm && f && dq && cd && bw && vl && vnni;
    if (a < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return features;
    features.avxvnni = features.avx2 && bit(a, 4);
    features.avx512_bf16 = features.avx512 && bit(a, 5);
    unsigned int maker[3], most;
    __get_cpuid(0, &most, &maker[0], &maker[2], &maker[1]);
    features.fast_bf16 = features.avx512_bf16 && std::memcmp(maker, "GenuineIntel", 12) != 0;
    return features;
}

#elif defined(__aarch64__) && defined(__linux__)

CpuFeatures detect_cpu() {
    CpuFeatures features;
    // HWCAP_ASIMD, HWCAP_ASIMDDP and HWCAP2_I8MM of the Linux arm64 ABI.
    constexpr unsigned long kAsimd = 1UL << 1, kAsimdDp = 1UL << 20, kI8mm = 1UL << 13;
    const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    features.neon = (first & kAsimd) != 0;
    features.neon_dot = features.neon && (first & kAsimdDp) != 0;
    features.neon_i8mm = features.neon_dot && (second & kI8mm) != 0;
    return features;
}

#elif defined(__aarch64__) && defined(__APPLE__)

CpuFeatures detect_cpu() {
    const auto has = [](const char* name) {
        int value = 0;
        size_t size = sizeof value;
        return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
    };
    CpuFeatures features;
    features.neon = true;  // part of the ABI
    features.neon_dot = has("hw.optional.arm.FEAT_DotProd");
    features.neon_i8mm = features.neon_dot && has("hw.optional.arm.FEAT_I8MM");
    return features;
}

#else

CpuFeatures detect_cpu() { return {}; }

#endif

}  // namespace lapidary::kernels
