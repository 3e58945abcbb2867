// Which tensors of a packed file get which format and layout.
#include "model/packing/pack_plan.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::model;
using namespace lapidary::test;
using runtime::Layout;

namespace {

SourceTensor tensor(TensorRole role, Format format, std::vector<int64_t> shape, int layer = -1,
                    bool sensitive = false) {
    SourceTensor out;
    out.format = format;
    out.shape = std::move(shape);
    out.role = role;
    out.layer = layer;
    out.sensitive = sensitive;
    return out;
}

}  // namespace

TEST_CASE("pack plan: without a type formats stay, matrices lie in panels where these exist") {
    const auto plans = plan_tensors({tensor(TensorRole::embedding, Format::q6_k, {512, 256}),
                                     tensor(TensorRole::layer_matrix, Format::q5_k, {64, 256}, 0),
                                     tensor(TensorRole::layer_matrix, Format::q4_0, {64, 32}, 0),
                                     tensor(TensorRole::layer_matrix, Format::bf16, {64, 16}, 0),
                                     tensor(TensorRole::other, Format::bf16, {64, 256})},
                                    std::nullopt);
    CHECK(plans[0].layout == Layout::panels);
    CHECK(plans[1].layout == Layout::rows);  // q5_k has no panels
    CHECK(plans[2].layout == Layout::rows);  // K is no multiple of 256
    CHECK(plans[3].layout == Layout::panels);
    CHECK(plans[4].layout == Layout::rows);  // the projector is multiplied in rows
    CHECK(plans[1].format == Format::q5_k);
}

TEST_CASE("pack plan: mixtures") {
    const auto formats = [](const char* name) {
        const auto type = unwrap(pack_type(name));
        std::vector<Format> out;
        for (const auto& plan : plan_tensors({tensor(TensorRole::embedding, Format::f16, {512, 256}),
                                              tensor(TensorRole::layer_matrix, Format::f16, {64, 256}, 0),
                                              tensor(TensorRole::other, Format::f32, {256})},
                                             type))
            out.push_back(plan.format);
        return out;
    };
    using F = std::vector<Format>;
    CHECK(formats("q4_0") == F{Format::q6_k, Format::q4_0, Format::f32});
    CHECK(formats("q4_k") == F{Format::q6_k, Format::q4_k, Format::f32});
    CHECK(formats("q6_k") == F{Format::q6_k, Format::q6_k, Format::f32});
    CHECK(formats("q8_0") == F{Format::q8_0, Format::q8_0, Format::f32});
    CHECK(formats("bf16") == F{Format::bf16, Format::bf16, Format::f32});
    CHECK(formats("") == F{Format::f16, Format::f16, Format::f32});
    const auto unknown = pack_type("q5_k");
    REQUIRE(!unknown);
    CHECK(unknown.error().code == Errc::invalid_argument);
    CHECK(unknown.error().hint.find("q4_0") != std::string::npos);
}

TEST_CASE("pack plan: q4_k gives half of the sensitive matrices six bits, as llama.cpp does over 48 layers") {
    std::vector<SourceTensor> tensors;
    for (int layer = 0; layer < 48; layer++)
        tensors.push_back(tensor(TensorRole::layer_matrix, Format::bf16, {64, 256}, layer, true));
    const auto plans = plan_tensors(tensors, Format::q4_k);
    std::string row;
    for (const auto& plan : plans) row += plan.format == Format::q6_k ? '6' : '4';
    CHECK(row == "666666446446446446446446446446446446446446666666");
    for (const auto& plan : plan_tensors(tensors, Format::q4_0)) CHECK(plan.format == Format::q4_0);
}

TEST_CASE("pack plan: rows that are no whole blocks take a coarser block, then stay") {
    const auto plans = plan_tensors({tensor(TensorRole::layer_matrix, Format::bf16, {4, 96}, 0),
                                     tensor(TensorRole::layer_matrix, Format::bf16, {4, 8}, 0)},
                                    Format::q4_k);
    CHECK(plans[0].format == Format::q8_0);
    CHECK(plans[1].format == Format::bf16);
}
