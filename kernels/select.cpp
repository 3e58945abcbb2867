// Builds one KernelTable per level from kernels.inc and chooses the level for this machine.
#include "kernels/select.h"

#include "kernels/cpu.h"
#include "kernels/declare.h"

namespace lapidary::kernels {
namespace {

template <class Fn>
void put(Fn& slot, std::string_view, Fn function) {
    slot = function;
}
template <class Fn>
void put(Fn (&slots)[kFormats], std::string_view format, Fn function) {
    for (int i = 0; i < kFormats; ++i) {
        if (format == name(static_cast<Format>(i))) slots[i] = function;
    }
}
template <class Fn>
void put(Fn (&slots)[3], std::string_view format, Fn function) {
    for (int i = 0; i < 3; ++i) {
        if (format == name(static_cast<KvFormat>(i))) slots[i] = function;
    }
}

// The table of one level; every row of the level is in kernels.inc.
KernelTable make_table(const char* level) {
    KernelTable table;
    table.isa = level;
    const std::string_view wanted = level;
#define LAP_KERNEL(op, format, isa, function) \
    if (wanted == #isa) put(table.op, #format, &isa::function);
#define LAP_KERNEL_REF(op, format, isa, function) \
    if (wanted == #isa) put(table.op, #format, &ref::function);
#include "kernels/kernels.inc"
#undef LAP_KERNEL
#undef LAP_KERNEL_REF
    return table;
}

#ifdef LAP_LEVEL_AVX2
constexpr bool kAvx2Built = true;
#else
constexpr bool kAvx2Built = false;
#endif
#ifdef LAP_LEVEL_AVX512
constexpr bool kAvx512Built = true;
#else
constexpr bool kAvx512Built = false;
#endif
#ifdef LAP_LEVEL_NEON
constexpr bool kNeonBuilt = true;
#else
constexpr bool kNeonBuilt = false;
#endif

Level make_level(const KernelTable& table, bool built, bool supported) {
    return {table.isa, built, supported, built && supported ? &table : nullptr};
}

}  // namespace

const std::vector<Level>& levels() {
    static const KernelTable kRef = make_table("ref"), kAvx2 = make_table("avx2"),
                             kAvx512 = make_table("avx512"), kNeon = make_table("neon");
    static const CpuFeatures kCpu = detect_cpu();
    static const std::vector<Level> kLevels = {
        make_level(kRef, true, true),
        make_level(kNeon, kNeonBuilt, kCpu.neon),
        make_level(kAvx2, kAvx2Built, kCpu.avx2),
        make_level(kAvx512, kAvx512Built, kCpu.avx512),
    };
    return kLevels;
}

const KernelTable* select(std::string_view level, std::string* why) {
    const KernelTable* best = nullptr;
    const Level* named = nullptr;
    std::string working;
    for (const Level& l : levels()) {
        if (l.name == level) named = &l;
        if (!l.table) continue;
        best = l.table;
        working += (working.empty() ? "" : ", ") + std::string(l.name);
    }
    if (level.empty()) return best;
    if (named && named->table) return named->table;
    if (why) {
        const char* reason = !named          ? "is not a level that exists"
                             : !named->built ? "is not part of this build"
                                             : "cannot run on this CPU";
        *why = "kernel level \"" + std::string(level) + "\" " + reason + "; levels that work here: " + working;
    }
    return nullptr;
}

const std::vector<KernelRow>& rows() {
    static const std::vector<KernelRow> kRows = {
#define LAP_KERNEL(op, format, isa, function) {#op, #isa, #isa "::" #function},
#define LAP_KERNEL_REF(op, format, isa, function) {#op, #isa, "ref::" #function},
#include "kernels/kernels.inc"
#undef LAP_KERNEL
#undef LAP_KERNEL_REF
    };
    return kRows;
}

}  // namespace lapidary::kernels
