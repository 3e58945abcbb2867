// See seed_models.h.
#include "tests/fuzz/seed_models.h"

#include <nlohmann/json.hpp>

#include "tests/support/small_model.h"

namespace lapidary::fuzz {
namespace {

struct Block {
    uint64_t values, bytes;
};

// Of the types that rows of 32 values can have (f32, f16, q4_0, q4_1, q5_0, q5_1, q8_0, iq4_nl, bf16).
Block block_of(uint32_t type) {
    switch (type) {
        case 0: return {1, 4};
        case 1:
        case 30: return {1, 2};
        case 2:
        case 20: return {32, 18};
        case 3: return {32, 20};
        case 6: return {32, 22};
        case 7: return {32, 24};
        default: return {32, 34};
    }
}

void add_matrix(test::GgufBuilder& b, const std::string& name, uint64_t cols, uint64_t rows, uint32_t type) {
    const Block block = block_of(type);
    b.tensors.push_back(
        {name, {cols, rows}, type, std::string(rows * cols / block.values * block.bytes, '\0')});
}

}  // namespace

test::GgufBuilder gguf_of_type(uint32_t type) {
    test::GgufBuilder b;
    test::add_small_keys(b);
    test::add_small_tokenizer(b);
    b.u32("gemma4.embedding_length", 32).u32("gemma4.feed_forward_length", 32);
    b.u32("gemma4.attention.key_length", 32).u32("gemma4.attention.value_length", 32);
    b.u32("gemma4.attention.key_length_swa", 32).u32("gemma4.attention.value_length_swa", 32);
    b.u32("gemma4.rope.dimension_count", 32).u32("gemma4.rope.dimension_count_swa", 32);
    b.u32("gemma4.attention.head_count", 1).ints("gemma4.attention.head_count_kv", {1, 1});
    b.floats("output_norm.weight", {32}, 1).floats("rope_freqs.weight", {16}, 1);
    add_matrix(b, "token_embd.weight", 32, test::kSmallVocab, type);
    for (const std::string p : {"blk.0.", "blk.1."}) {
        for (const char* norm :
             {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "attn_q_norm", "attn_k_norm"})
            b.floats(p + norm + ".weight", {32}, 1);
        for (const char* name : {"attn_q", "attn_k", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
            add_matrix(b, p + name + ".weight", 32, 32, type);
        if (p == "blk.0.") add_matrix(b, p + "attn_v.weight", 32, 32, type);
    }
    return b;
}

std::string small_tokenizer() {
    auto file = nlohmann::json::parse(tiny_file("tokenizer.json"));
    auto added = nlohmann::json::array(), vocab = nlohmann::json::object();
    const auto pieces = test::small_pieces();
    for (size_t id = 0; id < pieces.size(); id++) {
        vocab[pieces[id]] = id;
        if (id < 14)
            added.push_back({{"id", id}, {"content", pieces[id]}, {"special", true}, {"lstrip", false}});
    }
    file["added_tokens"] = added;
    file["model"]["vocab"] = vocab;
    file["model"]["merges"] = nlohmann::json::parse(R"([["a", "b"]])");
    return file.dump();
}

std::string tiny_file(const std::string& name) {
    return test::read_file(std::filesystem::path(LAPIDARY_SOURCE_DIR) / "models/tiny" / name);
}

}  // namespace lapidary::fuzz
