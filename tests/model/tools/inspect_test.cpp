#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/select.h"
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
    const ModelReport r = unwrap(inspect({.model = kData / "peer/quant3-q4_k_m.gguf", .research = {.cpu_level = "ref"}}));
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
    const ModelReport r = unwrap(inspect({.model = kData / "peer/quant3-q5_0.gguf", .research = {.cpu_level = "ref"}}));
    int q8_inputs = 0;
    for (const TensorReport& t : r.tensors)
        if (t.kernel == "ref:matmul_q5_0_q8" && t.type == "q5_0") ++q8_inputs;
    CHECK(q8_inputs >= 20);
}

TEST_CASE("inspect: precise mode takes other kernels") {
    const ModelReport r = unwrap(inspect({.model = kData / "peer/quant3-q8_0.gguf", .precise = true, .research = {.cpu_level = "ref"}}));
    for (const TensorReport& t : r.tensors) CHECK(t.kernel.find("_q8") == (t.type == "q8_0" && t.kernel != "f32 vector"
                                                                              ? t.kernel.find("_q8_0")
                                                                              : std::string::npos));
}

TEST_CASE("inspect: names the kernels that the engine uses after the race") {
    const EngineOptions options{.model = kData / "peer/quant3-q4_k_m.gguf"};
    for (const ModelInfo& info : {unwrap(inspect(options)).info, unwrap(Engine::open(options)).info()}) {
        CHECK(info.panels.size() == 2);  // q4_k and q6_k
        for (const PanelKernels& p : info.panels)
            for (const std::string& isa : {p.few, p.many}) {
                const auto& levels = kernels::levels();
                const auto level = std::find_if(levels.begin(), levels.end(), [&](const auto& l) { return l.name == isa; });
                REQUIRE(level != levels.end());
                CHECK(level->table != nullptr);
            }
    }
    const ModelReport r = unwrap(inspect(options));
    int named = 0;
    for (const TensorReport& t : r.tensors)
        for (const PanelKernels& p : r.info.panels)
            if (t.type == p.format && t.kernel.starts_with(p.many + ":panel_matmul_")) {
                CHECK((t.kernel.find("few columns " + p.few) != std::string::npos) == (p.few != p.many));
                ++named;
            }
    CHECK(named == 21);
    CHECK(unwrap(inspect({.model = options.model, .precise = true})).info.panels.empty());
}
