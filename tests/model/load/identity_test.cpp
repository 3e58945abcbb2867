// What saved sessions call a model by: the same in every container, another one for other weights.
#include "model/load/identity.h"

#include <doctest/doctest.h>

#include <string>

#include "lapidary/tools.h"
#include "model/load/loader.h"
#include "tests/support/goldens.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::test;

namespace {

std::string identity_of_file(const std::filesystem::path& path) {
    const model::LoadedModel loaded = unwrap(model::load_model({.model = path}));
    return model::identity_of(loaded.config, loaded.weights);
}

GgufBuilder with(const std::string& name, float value) {
    GgufBuilder model = small_gguf();
    std::string& data = model.find(name)->data;
    const std::string one = bytes_of(value);
    for (size_t i = 0; i < data.size(); i += one.size()) data.replace(i, one.size(), one);
    return model;
}

}  // namespace

TEST_CASE("identity: a packed model is its source, a quantised one is another") {
    const ScratchFolder scratch;
    const std::string source = identity_of_file(kTiny);
    CHECK(source.size() == 32);
    CHECK(identity_of_file(kTiny) == source);
    for (const char* type : {"", "q8_0"}) {
        const auto out = scratch.path() / "tiny.lapidary";
        unwrap(pack({.model = kTiny, .out = out, .type = type}));
        CHECK((identity_of_file(out) == source) == (*type == '\0'));
    }
}

TEST_CASE("identity: one weight, one norm, one factor or another base of the rotation make another model") {
    const ScratchFolder scratch;
    const auto identity = [&](GgufBuilder builder) { return identity_of_file(scratch.write("model.gguf", builder.build())); };
    const std::string plain = identity(small_gguf());
    CHECK(identity(small_gguf()) == plain);
    CHECK(identity(with("blk.1.ffn_down.weight", 0.25f)) != plain);
    CHECK(identity(with("blk.0.attn_norm.weight", 2)) != plain);
    CHECK(identity(with("blk.1.layer_output_scale.weight", 0.5f)) != plain);
    CHECK(identity(small_gguf().f32("gemma4.rope.freq_base_swa", 2e4f)) != plain);
    CHECK(identity(small_gguf().text("general.name", "other")) == plain);
}
