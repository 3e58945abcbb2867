// The race: the faster function wins, slower levels never serve, and what is not raced stays as it was.
#include "runtime/cpu/race.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "kernels/select.h"

using namespace lapidary;
using kernels::Format;
using kernels::KernelTable;

namespace {

void slow(const kernels::PanelMatmulArgs&) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }
void fast(const kernels::PanelMatmulArgs&) {}

constexpr size_t kQ4 = static_cast<size_t>(Format::q4_0), kBf16 = static_cast<size_t>(Format::bf16);

KernelTable table_of(const char* isa, kernels::PanelMatmulFn function) {
    KernelTable t;
    t.isa = isa;
    for (auto* slots : {&t.panel_matmul, &t.panel_matmul_few}) (*slots)[kQ4] = (*slots)[kBf16] = function;
    return t;
}

}  // namespace

TEST_CASE("race: the fastest function serves few and many columns") {
    const KernelTable a = table_of("a", slow), b = table_of("b", fast);
    for (const bool swapped : {false, true}) {
        const KernelTable* const runners[] = {swapped ? &b : &a, swapped ? &a : &b};
        const Format formats[] = {Format::q4_0, Format::q5_0};
        KernelTable table = a;
        const auto results = runtime::race(runners, formats, table);
        REQUIRE(results.size() == 4);  // two runners, two heats; q5_0 has no panels
        for (const auto& r : results) {
            CHECK(r.won == (std::string_view(r.isa) == "b"));
            CHECK(r.gmacs > 0);
        }
        CHECK((table.panel_matmul[kQ4] == fast));
        CHECK((table.panel_matmul_few[kQ4] == fast));
    }
}

TEST_CASE("race: one function has nothing to race, and rounded bf16 activations are another product") {
    const KernelTable a = table_of("a", slow), same = table_of("b", slow);
    const KernelTable* const alike[] = {&a, &same};
    const Format formats[] = {Format::q4_0, Format::bf16};
    KernelTable table = a;
    CHECK(runtime::race(alike, formats, table).empty());
    KernelTable rounding = table_of("c", fast);
    rounding.round_bf16 = [](const float*, int64_t, uint16_t*) {};
    const KernelTable* const unlike[] = {&a, &rounding};
    for (const auto& r : runtime::race(unlike, formats, table)) CHECK(r.format == Format::q4_0);
    CHECK((table.panel_matmul[kBf16] == slow));
}

TEST_CASE("race: the levels of this machine, without ref, and every format is served by one of them") {
    const auto runners = runtime::racers();
    for (const KernelTable* r : runners) CHECK(std::string_view(r->isa) != "ref");
    const Format formats[] = {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::f16};
    KernelTable table = *kernels::select("", nullptr);
    const auto results = runtime::race(runners, formats, table);
    int winners = 0;
    for (const auto& r : results) winners += r.won ? 1 : 0;
    CHECK(winners * 2 <= static_cast<int>(results.size()));
    for (const Format f : formats) {
        const auto function = table.panel_matmul_few[static_cast<size_t>(f)];
        bool known = function == kernels::select("", nullptr)->panel_matmul_few[static_cast<size_t>(f)];
        for (const KernelTable* r : runners) known = known || r->panel_matmul_few[static_cast<size_t>(f)] == function;
        CHECK(known);
    }
}
