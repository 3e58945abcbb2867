// One folder of files, each with its owner in its name.
#include "model/stores/llama_cpp.h"

#include <doctest/doctest.h>

#include "tests/support/invented_stores.h"

using namespace lapidary;

TEST_CASE("llama.cpp: files by their names, with the projector of the same owner") {
    const test::ScratchFolder folder;
    for (const char* name : {"ggml-org_gemma-4-GGUF_gemma-4-Q4_0.gguf", "ggml-org_gemma-4-GGUF_mmproj-gemma-4-f16.gguf",
                             "ggml-org_gemma-4-GGUF_mmproj-gemma-4-bf16.gguf", "other_model_m-Q8_0.gguf", "x_y_big-00001-of-00002.gguf",
                             "x_y_big-00002-of-00002.gguf", "x_y_big-00001-of-00002.gguf.json", "a_b_c.gguf.downloadInProgress", "mmproj.gguf"})
        folder.write(name, "GGUF");
    stores::Listing out;
    stores::list_llama_cpp(folder.path(), out);
    REQUIRE(out.models.size() == 3);
    CHECK(out.models[0].name == "llama.cpp:ggml-org_gemma-4-GGUF_gemma-4-Q4_0");
    CHECK(out.models[0].projector.filename() == "ggml-org_gemma-4-GGUF_mmproj-gemma-4-bf16.gguf");
    CHECK(out.models[0].bytes == 8);
    CHECK(out.models[1].projector.empty());
    CHECK(out.models[2].name == "llama.cpp:x_y_big");
    CHECK(out.models[2].usable());
    CHECK(out.models[2].bytes == 8);

    const test::ScratchFolder other;
    std::filesystem::create_symlink(other.write("m.gguf", "GGUF"), folder.path() / "out_of_it.gguf");
    stores::Listing linked;
    stores::list_llama_cpp(folder.path(), linked);
    REQUIRE(linked.models.size() == 4);
    CHECK(linked.models[2].problem.message.find("leads out of the folder") != std::string::npos);
}
