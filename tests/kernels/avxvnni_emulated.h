// The kernels of level avxvnni as the tests compile them once more, with AVX2 in place of the two instructions
// (avxvnni_instructions.h): a table for tests on CPUs that lack them.
#pragma once

#include "kernels/select.h"

#ifdef LAP_TEST_AVXVNNI
namespace lapidary::kernels::avxvnni_emulated {
void panel_matmul_q4_0(const PanelMatmulArgs& a);
void panel_matmul_q8_0(const PanelMatmulArgs& a);
void panel_matmul_q4_k(const PanelMatmulArgs& a);
void panel_matmul_q6_k(const PanelMatmulArgs& a);
Peak peak(int64_t iterations);
}  // namespace lapidary::kernels::avxvnni_emulated
#endif

namespace lapidary::test {

// Level avx2 with the panels of avxvnni; null where this CPU or this build has none.
inline const kernels::KernelTable* avxvnni_emulated() {
#ifdef LAP_TEST_AVXVNNI
    if (!kernels::select("avx2", nullptr)) return nullptr;
    static const kernels::KernelTable kTable = [] {
        namespace level = kernels::avxvnni_emulated;
        kernels::KernelTable table = *kernels::select("avx2", nullptr);
        const auto slot = [&](kernels::Format f) -> kernels::PanelMatmulFn& {
            return table.panel_matmul[static_cast<int>(f)];
        };
        table.isa = "avxvnni, emulated";
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
