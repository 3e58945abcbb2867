// A GGUF file: as a model, and as the projector of a good one.
#include "tests/fuzz/model_check.h"
#include "tests/fuzz/seed_models.h"
#include "tests/support/small_model.h"

namespace lapidary::fuzz {
namespace {

void one(Bytes bytes) {
    static const test::ScratchFolder folder;
    static const auto good = folder.write("good.gguf", test::small_gguf().build());
    const auto file = folder.write("input.gguf", text_of(bytes));
    if (text_of(bytes).find("clip") == std::string::npos)
        load_and_check({.model = file}, hash_of(bytes) % 4 == 0);
    else
        load_and_check({.model = good, .mmproj = file}, hash_of(bytes) % 4 == 0);
}

// Every type that the container knows, in a tensor of each that the model does not use.
std::string all_types() {
    test::GgufBuilder b = test::small_gguf();
    for (uint32_t type = 0; type < 40; type++) b.tensors.push_back({std::to_string(type), {256}, type, ""});
    return b.build();
}

std::vector<std::string> seeds() {
    std::vector<std::string> out = {test::small_gguf().build(), test::small_projector().build(), all_types()};
    for (const uint32_t type : {0, 1, 2, 3, 6, 7, 8, 20, 30}) out.push_back(gguf_of_type(type).build());
    test::GgufBuilder b = test::small_gguf();
    b.version = 2;
    b.alignment = 64;
    b.u32("general.alignment", 64)
        .u32("general.file_type", 1)
        .text("tokenizer.chat_template", "{{ bos_token }}");
    b.ints("tokenizer.ggml.eot_token_id", {5}).u32("tokenizer.ggml.eom_token_id", 5);
    b.f32("general.sampling.temp", 0.5f).u32("general.sampling.top_k", 40);
    out.push_back(b.build());
    b.u32("split.no", 0)
        .u32("split.count", 1)
        .u32("split.tensors.count", static_cast<uint32_t>(b.tensors.size()));
    out.push_back(b.build());
    return out;
}

std::vector<std::string> words() {
    std::vector<std::string> out = {"GGUF",
                                    "gemma4",
                                    "clip",
                                    "llama",
                                    "general.type",
                                    "general.file_type",
                                    "split.no",
                                    "split.count",
                                    "split.tensors.count",
                                    "output.weight",
                                    "tokenizer.chat_template",
                                    "tokenizer.ggml.eot_token_id"};
    for (const auto& b : {test::small_gguf(), test::small_projector()}) {
        for (const auto& [key, value] : b.keys) out.push_back(key);
        for (const auto& tensor : b.tensors) out.push_back(tensor.name);
    }
    for (const uint64_t number : {0ull, 1ull, 0x7fffffffull, 0xffffffffull, 1ull << 40, 1ull << 63, ~0ull})
        out.push_back(test::bytes_of(number));
    return out;
}

}  // namespace

const Target kGguf = {.name = "gguf", .max_bytes = 128 << 10, .one = one, .seeds = seeds, .words = words};

}  // namespace lapidary::fuzz
