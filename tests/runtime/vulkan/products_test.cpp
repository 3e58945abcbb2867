// Which shader and tuning serves a product, without a device.
#include "runtime/vulkan/products.h"

#include <algorithm>
#include <string>
#include <variant>

#include <doctest/doctest.h>

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;

TEST_CASE("products: tiles of f16 may win where no int8 image serves and the format's range is f16's") {
    DeviceFacts facts;  // of no device: nothing runs
    facts.float16 = true;
    const auto candidates = [&](const Products& p, Format f, Layout layout) {
        const TensorView w = {nullptr, 0, f, 64, 512, 0, layout};
        const auto all = p.candidates(w, 64);
        return std::count_if(all.begin(), all.end(), [](const Tuning& t) { return std::get<MatmulTuning>(t).half; });
    };
    const auto all = static_cast<std::ptrdiff_t>(half_candidates().size());
    CHECK(candidates(Products(facts, false), Format::f16, Layout::panels) == all);
    CHECK(candidates(Products(facts, false), Format::q4_k, Layout::panels) == all);
    CHECK(candidates(Products(facts, false), Format::bf16, Layout::panels) == 0);
    CHECK(candidates(Products(facts, false), Format::f16, Layout::rows) == 0);
    CHECK(candidates(Products(facts, true), Format::f16, Layout::panels) == 0);
    Products tuned(facts, false);
    const TensorView w = {nullptr, 0, Format::f16, 64, 512, 0, Layout::panels};
    CHECK(tuned.name_of(w.format, w.layout, w.cols, 64) == "matmul_f16");
    tuned.tune(*tuned.class_of(w, 64), half_candidates().front());
    CHECK(tuned.name_of(w.format, w.layout, w.cols, 64) == "matmul_f16_half");
    CHECK(tuned.name_of(w.format, w.layout, w.cols, 8) == "matvec_f16");
    facts.dot = true;
    CHECK(candidates(Products(facts, false), Format::q4_k, Layout::panels) == 0);
    facts.float16 = false;
    CHECK(candidates(Products(facts, false), Format::f16, Layout::panels) == 0);
}

TEST_CASE("products: sizes of subgroups that a device lets one require race, others do not") {
    DeviceFacts facts;  // of no device: nothing runs
    facts.dot = true;
    facts.subgroup = 64;
    facts.limits.maxComputeWorkGroupInvocations = 256;
    const TensorView matrix = {nullptr, 0, Format::q4_0, 64, 512, 288, Layout::panels};
    const auto sizes = [&](int64_t columns) {
        std::string out;
        for (const Tuning& t : Products(facts, false).candidates(matrix, columns)) {
            const uint32_t size = columns <= kMatvecColumns ? std::get<MatvecTuning>(t).subgroup : std::get<MatmulTuning>(t).subgroup;
            if (size > 0) out += " " + std::to_string(size);
        }
        return out;
    };
    CHECK(sizes(1) == "");
    facts.subgroup_min = 32;
    facts.subgroup_max = 64;
    CHECK(sizes(1) == " 32 32 32");
    CHECK(sizes(64) == " 32 32 32");
    facts.subgroup_min = 8;
    CHECK(sizes(64) == " 16 32 16 32 16 32");
    CHECK(name(MatvecTuning{.threads = 32, .panels = 1, .subgroup = 32}) == "32x1 s32");
    CHECK(name(MatmulTuning{.half = true, .subgroup = 16}) == "half 256x64x64x4 s16");
}

TEST_CASE("products: matrices serve only what won a race with them, and give way one by one") {
    DeviceFacts facts;  // of no device: nothing runs
    facts.dot = facts.float16 = true;
    facts.subgroup = 32;
    facts.limits.maxComputeWorkGroupInvocations = 256;
    facts.matrix_half = {{8, 8, 16}, {16, 16, 16}, {64, 8, 16}};
    facts.matrix_int8 = {{16, 16, 32}};
    const TensorView w = {nullptr, 0, Format::q4_0, 64, 512, 288, Layout::panels};
    Products products(facts, false);
    const auto name = [&](int64_t columns) { return products.name_of(w.format, w.layout, w.cols, columns); };
    CHECK(name(64) == "matmul_q4_0_dot");
    const auto shape = products.class_of(w, 64);
    REQUIRE(shape);
    CHECK(products.candidates(w, 64).size() == dot_candidates().size() + matrix_candidates().size());
    products.tune(*shape, MatrixTuning{});
    CHECK(name(64) == "matmul_q4_0_matrix_int8");
    CHECK(name(8) == "matvec_q4_0_dot");
    CHECK(products.class_of(w, 64) == shape);
    CHECK(products.columns_like(w, 512) == 47);
    CHECK(products.columns_like(w, 32) == 23);
    products.tune(*shape, products.candidates(w, 64)[0]);
    CHECK(name(64) == "matmul_q4_0_dot");
    CHECK(products.disable(w.format, w.layout));
    CHECK(name(64) == "matmul_q4_0");
    CHECK_FALSE(products.wants_image(w, 64));

    const auto many = [&](const Products& p, Format f, Layout layout, int64_t k) { return p.name_of(f, layout, k, 64); };
    const Products half(facts, false, {.matrix = MatrixTuning{.kind = MatrixKind::half}}), int8(facts, false, {.matrix = MatrixTuning{}});
    CHECK(many(half, Format::q6_k, Layout::panels, 512) == "matmul_q6_k_matrix_half");
    CHECK(many(int8, Format::q6_k, Layout::panels, 512) == "matmul_q6_k_dot");  // scales of 16 K, matrices of 32
    CHECK(many(Products(facts, false, {.matrix = MatrixTuning{MatrixKind::half, 64, 64, 64, 64}}), Format::q4_0, Layout::panels, 512) ==
          "matmul_q4_0_dot");  // 16 matrices in a subgroup
    CHECK(many(half, Format::bf16, Layout::panels, 512) == "matmul_bf16");
    CHECK(many(half, Format::q4_0, Layout::rows, 512) == "matmul_rows_q4_0_dot");
    CHECK(many(half, Format::q4_0, Layout::panels, 320) == "matmul_q4_0");
    CHECK(many(Products(facts, true, {.matrix = MatrixTuning{}}), Format::q4_0, Layout::panels, 512) == "matmul_q4_0");
    facts.subgroup = 128;  // four subgroups are more threads than it has
    CHECK(many(Products(facts, false, {.matrix = MatrixTuning{}}), Format::q4_0, Layout::panels, 512) == "matmul_q4_0_dot");
}

}  // namespace
