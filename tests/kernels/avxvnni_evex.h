// The kernels of level avxvnni as this build of the tests compiled them for AVX-512 VNNI (tests/CMakeLists.txt):
// a table for tests on CPUs that have the instruction in that encoding only.
#pragma once

#include "kernels/cpu.h"
#include "kernels/select.h"

#ifdef LAP_TEST_AVXVNNI_EVEX
namespace lapidary::kernels::avxvnni_evex {
void panel_matmul_q4_0(const PanelMatmulArgs& a);
void panel_matmul_q8_0(const PanelMatmulArgs& a);
void panel_matmul_q4_k(const PanelMatmulArgs& a);
void panel_matmul_q6_k(const PanelMatmulArgs& a);
int64_t peak(int64_t iterations);
}  // namespace lapidary::kernels::avxvnni_evex
#endif

namespace lapidary::test {

// Level avx2 with the panels of avxvnni; null where this CPU or this build has none.
inline const kernels::KernelTable* avxvnni_evex() {
#ifdef LAP_TEST_AVXVNNI_EVEX
    if (!kernels::detect_cpu().avx512) return nullptr;
    static const kernels::KernelTable kTable = [] {
        namespace level = kernels::avxvnni_evex;
        kernels::KernelTable table = *kernels::select("avx2", nullptr);
        const auto slot = [&](kernels::Format f) -> kernels::PanelMatmulFn& {
            return table.panel_matmul[static_cast<int>(f)];
        };
        table.isa = "avxvnni in EVEX";
        slot(kernels::Format::q4_0) = level::panel_matmul_q4_0;
        slot(kernels::Format::q8_0) = level::panel_matmul_q8_0;
        slot(kernels::Format::q4_k) = level::panel_matmul_q4_k;
        slot(kernels::Format::q6_k) = level::panel_matmul_q6_k;
        table.peak = level::peak;
        return table;
    }();
    return &kTable;
#else
    return nullptr;
#endif
}

}  // namespace lapidary::test
