// Whole files that are no model are named for what they are.
#include "model/load/gguf_kind.h"

#include <doctest/doctest.h>

#include "model/load/loader.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::GgufBuilder;
using lapidary::test::ScratchFolder;

namespace {

void says(const GgufBuilder& builder, const std::string& words, Errc code = Errc::unsupported_model) {
    const ScratchFolder folder;
    const auto gguf = runtime::open_gguf(folder.write("a.gguf", builder.build()));
    REQUIRE(gguf);
    const auto checked = require_text_model(*gguf);
    CAPTURE(words);
    REQUIRE_FALSE(checked);
    CAPTURE(checked.error().message);
    CHECK(checked.error().code == code);
    CHECK(checked.error().message.find(words) != std::string::npos);
    CHECK(checked.error().message.find("damaged") == std::string::npos);
    CHECK(checked.error().message.find("a.gguf") != std::string::npos);
}

}  // namespace

TEST_CASE("a model is one") {
    const ScratchFolder folder;
    const auto gguf = runtime::open_gguf(folder.write("a.gguf", test::small_gguf().build()));
    REQUIRE(gguf);
    CHECK(require_text_model(*gguf));
}

TEST_CASE("other kinds are named") {
    GgufBuilder matrix;
    matrix.text("general.type", "imatrix").u32("imatrix.chunk_count", 2).floats("blk.0.attn_q.weight.in_sum2", {8}, 1);
    says(matrix, "an importance matrix");
    matrix.remove("general.type");
    says(matrix, "an importance matrix");

    GgufBuilder adapter;
    adapter.text("general.type", "adapter").text("general.architecture", "gemma4").text("adapter.type", "lora");
    adapter.floats("blk.0.attn_q.weight.lora_a", {8, 4}, 1);
    says(adapter, "an adapter (LoRA) ('gemma4'), not a model");

    says(GgufBuilder().text("general.architecture", "controlvector").floats("direction.1", {8}, 1), "a control vector");
    says(GgufBuilder().text("general.type", "mmproj").text("general.architecture", "other"), "a projector");
    says(test::small_projector(), "a projector");
    for (const char* name : {"gemma4-assistant", "gemma4_mtp", "eagle3"})
        says(test::small_gguf().text("general.architecture", name), "a drafter ('" + std::string(name) + "')");
    says(test::small_gguf().text("general.type", "reranker"), "of the type 'reranker', not a model");
    says(test::small_gguf().text("general.architecture", "qwen3"), "architecture is 'qwen3'");
    says(test::small_gguf().remove("general.architecture"), "general.architecture is missing", Errc::bad_model_file);
}

TEST_CASE("a vocabulary without weights is not called cut short") {
    GgufBuilder b = test::small_gguf();
    b.tensors.clear();
    says(b, "a vocabulary only, without weights");
    says(GgufBuilder().text("general.architecture", "gemma4"), "a header only");
}
