// Publishers, models and what is neither.
#include "model/stores/lm_studio.h"

#include <doctest/doctest.h>

#include "tests/support/invented_stores.h"

using namespace lapidary;
namespace fs = std::filesystem;

TEST_CASE("lm studio: a model for each folder of a publisher") {
    const test::ScratchFolder folder;
    const fs::path& root = folder.path();
    test::put_file(root / "pub/gemma/gemma-Q4_0.gguf", "GGUF");
    test::put_file(root / "pub/gemma/mmproj-gemma-BF16.gguf", "GGUF");
    test::put_file(root / "pub/mlx/config.json", R"({"quantization":{"bits":4}})");
    test::put_file(root / "pub/mlx/model.safetensors", "x");
    test::put_file(root / "pub/stray.gguf", "GGUF");
    test::put_file(root / "stray.gguf", "GGUF");
    fs::create_directories(root / "pub/empty");
    stores::Listing out;
    stores::list_lm_studio(root, out);
    REQUIRE(out.models.size() == 2);
    CHECK(out.models[0].name == "lmstudio:pub/gemma");
    CHECK(out.models[0].usable());
    CHECK(out.models[0].projector.filename() == "mmproj-gemma-BF16.gguf");
    CHECK(out.models[1].name == "lmstudio:pub/mlx");
    CHECK(out.models[1].problem.code == Errc::unsupported_model);
    CHECK(out.problems.empty());

    const test::ScratchFolder other;
    fs::create_symlink(other.write("m.gguf", "GGUF"), root / "pub/gemma/gemma-Q8_0.gguf");
    stores::Listing linked;
    stores::list_lm_studio(root, linked);
    REQUIRE(linked.models.size() == 3);
    CHECK(linked.models[1].problem.message.find("leads out of the folder") != std::string::npos);

    stores::Listing none;
    stores::list_lm_studio(root / "stray.gguf", none);
    CHECK(none.models.empty());
    CHECK(none.problems.size() == 1);
}
