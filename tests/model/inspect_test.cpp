#include <doctest/doctest.h>

#include "lapidary/tools.h"
#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

std::string value(const ModelReport& report, const std::string& name) {
    for (const auto& [key, text] : report.config)
        if (key == name) return text;
    return "";
}

}  // namespace

TEST_CASE("inspect: config, tensors and kernels of a GGUF file") {
    const ModelReport r = unwrap(inspect({.model = kData / "peer/quant3-q4_k_m.gguf", .cpu_level = "ref"}));
    CHECK(r.info.layers == 3);
    CHECK(value(r, "window") == "32");
    CHECK(value(r, "soft cap") == "30");
    CHECK(value(r, "hidden") == "256");
    CHECK(r.text_problem.empty());
    uint64_t bytes = 0;
    int panels = 0, vectors = 0;
    for (const TensorReport& t : r.tensors) {
        bytes += t.bytes;
        CHECK(!t.kernel.empty());
        if (t.kernel == "f32 vector") ++vectors;
        if (t.kernel == "ref:panel_matmul_" + t.type) ++panels;
    }
    CHECK(bytes > 1'000'000);
    CHECK(panels == 21);  // 20 layer matrices and the embedding
    CHECK(vectors == 23);
    CHECK(!r.metadata.empty());
    CHECK(r.files.size() == 1);
}

TEST_CASE("inspect: formats without panels keep their rows and take int8 inputs") {
    const ModelReport r = unwrap(inspect({.model = kData / "peer/quant3-q5_0.gguf", .cpu_level = "ref"}));
    int q8_inputs = 0;
    for (const TensorReport& t : r.tensors)
        if (t.kernel == "ref:matmul_q5_0_q8" && t.type == "q5_0") ++q8_inputs;
    CHECK(q8_inputs >= 20);
}

TEST_CASE("inspect: precise mode takes other kernels") {
    const ModelReport r = unwrap(inspect({.model = kData / "peer/quant3-q8_0.gguf", .precise = true, .cpu_level = "ref"}));
    for (const TensorReport& t : r.tensors) CHECK(t.kernel.find("_q8") == (t.type == "q8_0" && t.kernel != "f32 vector"
                                                                              ? t.kernel.find("_q8_0")
                                                                              : std::string::npos));
}
