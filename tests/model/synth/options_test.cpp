#include "model/synth/options.h"

#include <doctest/doctest.h>

#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::test;

TEST_CASE("synth: names become options, unknown ones are refused with the possible ones") {
    const auto o = unwrap(synth_options({.preset = "tiny", .type = "q6_k", .format = "gguf", .layers = 5}));
    CHECK(o.preset == model::SynthPreset::tiny);
    CHECK(o.type == kernels::Format::q6_k);
    CHECK(o.layers == 5);
    CHECK(unwrap(synth_options({})).type == kernels::Format::q4_0);
    CHECK(unwrap(synth_options({.format = "hf"})).type == kernels::Format::bf16);  // a folder holds floats
    for (const SynthOptions& bad : {SynthOptions{.preset = "13b"}, SynthOptions{.type = "q4"}, SynthOptions{.format = "onnx"}}) {
        const auto r = synth_options(bad);
        REQUIRE(!r);
        CHECK(r.error().code == Errc::invalid_argument);
        CHECK(!r.error().hint.empty());
    }
}
