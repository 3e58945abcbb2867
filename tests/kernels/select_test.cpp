// Choice of the level, its error text, and that the table leaves no slot of a runnable level empty.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <utility>

#include "kernels/cpu.h"
#include "tests/kernels/fixtures.h"
#include "tests/kernels/walk.h"

using namespace lapidary;
using namespace lapidary::test;

TEST_CASE("select: empty takes the highest level, a name takes that level") {
    std::string why;
    const kernels::KernelTable* best = kernels::select("", &why);
    REQUIRE(best != nullptr);
    CHECK(best == kernels::runnable_tables().back());
    CHECK(why.empty());
    for (const kernels::Level& level : kernels::levels())
        if (level.table) CHECK(kernels::select(level.name, &why) == level.table);
    CHECK(kernels::select("ref", nullptr) == kernels::runnable_tables().front());
}

TEST_CASE("select: an unknown name says so and lists what works") {
    std::string why;
    CHECK(kernels::select("avx9", &why) == nullptr);
    CHECK(why.find("kernel level \"avx9\" is not a level that exists; levels that work here: ref") == 0);
    CHECK(kernels::select("AVX2", nullptr) == nullptr);
}

TEST_CASE("select: a level of another machine is refused") {
    int refused = 0;
    for (const kernels::Level& level : kernels::levels()) {
        if (level.table) continue;
        std::string why;
        CHECK(kernels::select(level.name, &why) == nullptr);
        CHECK(why.find(level.built ? "cannot run on this CPU" : "is not part of this build") != std::string::npos);
        CHECK(why.find("ref") != std::string::npos);
        ++refused;
    }
    CHECK(refused >= 1);  // no machine has both neon and avx2
}

TEST_CASE("levels: lowest first, ref always there, tables only where they can run") {
    const auto& levels = kernels::levels();
    REQUIRE(levels.size() == 7);
    CHECK(levels.front().name == "ref");
    CHECK(levels.front().table != nullptr);
    const kernels::CpuFeatures cpu = kernels::detect_cpu();
    for (const kernels::Level& level : levels) {
        CHECK((level.table != nullptr) == (level.built && level.supported));
        if (level.name == "avx2") CHECK(level.supported == cpu.avx2);
        if (level.name == "avx512") CHECK(level.supported == cpu.avx512);
        if (level.name == "avxvnni") CHECK(level.supported == cpu.avxvnni);
        if (level.name == "neon") CHECK(level.supported == cpu.neon);
        if (level.name == "neon_dot") CHECK(level.supported == cpu.neon_dot);
        if (level.name == "neon_i8mm") CHECK(level.supported == cpu.neon_i8mm);
        if (level.table) CHECK(level.name == level.table->isa);
    }
}

// LAPIDARY_EXPECT_LEVELS, a list with commas: the build that knows its processor says what must not be missing.
TEST_CASE("levels: those that the build expects are compiled in and run here") {
    const char* list = std::getenv("LAPIDARY_EXPECT_LEVELS");
    std::stringstream names(list ? list : "ref");
    int found = 0;
    for (std::string name; std::getline(names, name, ','); ++found) {
        std::string why;
        const kernels::KernelTable* table = kernels::select(name, &why);
        INFO(why);
        REQUIRE(table != nullptr);
        CHECK(std::count(kernels::runnable_tables().begin(), kernels::runnable_tables().end(), table) == 1);
    }
    CHECK(found >= 1);
}

TEST_CASE("cpu: AVX-512 implies AVX2, and the compiler's own view agrees") {
    const kernels::CpuFeatures cpu = kernels::detect_cpu();
#if defined(__x86_64__)
    __builtin_cpu_init();
    CHECK(cpu.avx2 == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
    CHECK(cpu.avx512 == (cpu.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512cd")));
    CHECK_FALSE(cpu.neon);
#elif defined(__aarch64__)
    CHECK(cpu.neon);
    CHECK_FALSE(cpu.avx2);
#endif
}

TEST_CASE("select: attention in bf16 serves only where it multiplies more than f32 in the same time") {
    const kernels::CpuFeatures cpu = kernels::detect_cpu();
    CHECK((!cpu.fast_bf16 || cpu.avx512_bf16));
#if defined(__x86_64__)
    __builtin_cpu_init();
    CHECK(cpu.fast_bf16 == (cpu.avx512_bf16 && !__builtin_cpu_is("intel")));
#endif
    const kernels::KernelTable* table = kernels::select("avx512", nullptr);
    if (!table) return;
    const auto plain = std::find_if(kernels::runnable_tables().begin(), kernels::runnable_tables().end(),
                                    [](const auto* t) { return std::string_view(t->isa) == "avx512"; });
    CHECK((table->attention == (*plain)->attention) == !cpu.fast_bf16);
    CHECK((table->round_bf16 != nullptr) == cpu.avx512_bf16);  // of weights in bf16 it is a matter of precision
    const auto& all = kernels::runnable_tables();
    if (cpu.avx512_bf16) CHECK(std::any_of(all.begin(), all.end(), [&](const auto* t) {
        return std::string_view(t->isa) == "avx512" && t->attention != (*plain)->attention;
    }));
}

TEST_CASE("the table of a runnable level is complete") {
    for (const kernels::KernelTable* t : kernels::runnable_tables()) {
        CAPTURE(t->isa);
        for (int i = 0; i < kernels::kFormats; ++i) {
            const auto format = static_cast<kernels::Format>(i);
            CAPTURE(kernels::name(format));
            CHECK((t->expand[i] != nullptr));
            CHECK((t->matmul[i] != nullptr));
            const bool panels = kernels::has_panels(format);
            CHECK((t->pack_panel[i] != nullptr) == panels);
            CHECK((t->unpack_panel_row[i] != nullptr) == panels);
            CHECK((t->panel_matmul[i] != nullptr) == panels);
        }
        for (const auto store : t->store_kv) CHECK((store != nullptr));
        CHECK((t->quantize && t->rms_norm && t->layer_norm && t->add_norm && t->geglu && t->rope && t->soft_cap &&
               t->scale_add && t->attention && t->attention_merge && t->quantize_panel));
    }
}

TEST_CASE("rows: every operation is walked by a test, an exact one by a test of its bits, and no test walks another") {
    std::set<std::string_view> named, compared, known;
    for (const Walk* walk : Walk::all()) {
        named.insert(walk->ops().begin(), walk->ops().end());
        if (walk->compare() == Compare::bits) compared.insert(walk->ops().begin(), walk->ops().end());
    }
    for (const KernelRow& row : kernels::rows()) {
        CAPTURE(row.function);
        known.insert(row.op);
        CHECK(named.count(row.op) == 1);
        if (row.exact) CHECK(compared.count(row.op) == 1);
    }
    for (const std::string_view op : named) {
        CAPTURE(op);
        if (op != "round_bf16") CHECK(known.count(op) == 1);  // of x86 alone
    }
}

TEST_CASE("rows: each has what is known of its operation, its format and its level") {
    for (const KernelRow& row : kernels::rows()) {
        CAPTURE(row.function);
        CAPTURE(row.isa);
        CAPTURE(row.format);
        CHECK(row.own == row.function.starts_with(std::string(row.isa).append("::")));
        if (row.isa == "ref") CHECK(row.own);
        if (row.format != "any") CHECK((row.format == name(row.weights) || row.format == name(row.cache)));
        CHECK(row.bf16 == row.function.starts_with("avx512_bf16::"));
        CHECK(row.multiple > 0);
        if (row.op == "matmul" || row.op == "expand") CHECK(row.multiple == kernels::block_values(row.weights));
        if (row.op == "panel_matmul") CHECK(row.exact == !row.bf16);
        if (row.op == "attention") CHECK_FALSE(row.exact);
        const auto level = std::find_if(kernels::levels().begin(), kernels::levels().end(), [&](const auto& l) {
            return row.isa == l.name || row.isa.starts_with(std::string(l.name).append("_bf16"));
        });
        REQUIRE(level != kernels::levels().end());
        if (row.isa == level->name) CHECK((row.table != nullptr) == (level->table != nullptr));
        if (row.table) CHECK(row.table->isa == level->name);
    }
}

#ifdef LAP_TEST_AVXVNNI
TEST_CASE("rows: those of avxvnni have all been compiled once more for other CPUs") {
    const kernels::KernelTable* emulated = avxvnni_emulated();
    if (!emulated) return;
    const kernels::KernelTable& base = *kernels::select("avx2", nullptr);
    int found = 0;
    for (const KernelRow& row : kernels::rows()) {
        if (row.isa != "avxvnni" || !row.own) continue;
        CAPTURE(row.function);
        const auto slot = static_cast<size_t>(row.weights);
        if (row.op == "peak")
            CHECK((emulated->peak != base.peak));
        else
            CHECK((row.op == "panel_matmul" && emulated->panel_matmul[slot] != base.panel_matmul[slot]));
        ++found;
    }
    CHECK(found > 0);
}
#endif

TEST_CASE("rows: every built level has the operations of ref, and each function is of a level that exists") {
    const auto operations = [](std::string_view isa) {
        std::multiset<std::pair<std::string_view, std::string_view>> ops;
        for (const kernels::KernelRow& row : kernels::rows())
            if (row.isa == isa) ops.insert({row.op, row.format});
        return ops;
    };
    const auto of_ref = operations("ref");
    CHECK(of_ref.count({"matmul", "q4_0"}) == 1);
    CHECK(of_ref.count({"panel_matmul", "q6_k"}) == 1);
    for (const kernels::Level& level : kernels::levels()) {
        if (!level.built) continue;
        CAPTURE(level.name);
        const auto own = operations(level.name);
        CHECK(std::includes(own.begin(), own.end(), of_ref.begin(), of_ref.end()));
        bool has_own = false;
        for (const kernels::KernelRow& row : kernels::rows()) {
            if (row.isa != level.name) continue;
            const auto space = row.function.substr(0, row.function.find("::"));
            has_own = has_own || space == level.name;
            CHECK(std::any_of(kernels::levels().begin(), kernels::levels().end(),
                              [&](const kernels::Level& l) { return l.built && l.name == space; }));
        }
        CHECK(has_own);
    }
}

TEST_CASE("scratch sizes keep whole cache lines and never shrink, and one size is enough for every operation") {
    CHECK(kernels::matmul_scratch_bytes() % 64 == 0);
    for (const int64_t dim : {2, 30, 256, 512}) {
        CHECK(kernels::attention_scratch_bytes(dim, 3) % 64 == 0);
        CHECK(kernels::attention_partial_bytes(dim, 3) % 64 == 0);
        CHECK(kernels::attention_scratch_bytes(dim, 5) > kernels::attention_scratch_bytes(dim, 4));
        CHECK(kernels::attention_partial_bytes(dim, 5) > kernels::attention_partial_bytes(dim, 4));
        CHECK(kernels::scratch_bytes(dim, 64) >= kernels::matmul_scratch_bytes());
        CHECK(kernels::scratch_bytes(dim, 64) >= kernels::attention_scratch_bytes(dim, 64));
    }
}
