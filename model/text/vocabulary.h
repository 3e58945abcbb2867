// The vocabulary as plain data: piece texts, token types, ranked merges and special ids. Two sources fill
// it (tokenizer.json, and the lists of a GGUF file, whose reader lives elsewhere) and give equal results.
// It only describes; model/text/tokenizer.h encodes and decodes with it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

// The numbers are those of GGUF's tokenizer.ggml.token_type.
enum class TokenType : uint8_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6
};

// Two adjacent pieces that become one; its place in Vocabulary::merges is its rank (lower goes first).
struct Merge {
    int32_t left = 0;
    int32_t right = 0;
    int32_t result = 0;

    bool operator==(const Merge&) const = default;
};

struct SpecialIds {  // -1: the vocabulary has none
    int32_t bos = -1;
    int32_t eos = -1;
    int32_t pad = -1;
    int32_t unk = -1;

    bool operator==(const SpecialIds&) const = default;
};

struct Vocabulary {
    std::string text;               // all pieces one after the other ...
    std::vector<uint32_t> offsets;  // ... piece i is text[offsets[i], offsets[i + 1])
    std::vector<TokenType> types;
    std::vector<Merge> merges;
    int64_t dropped_merges = 0;  // merges that name or give a text that is no piece
    SpecialIds special;
    bool add_bos = false;                 // what the source says; whoever encodes decides (EncodeOptions)
    std::vector<int32_t> added_tokens;    // control and user-defined ids, ascending
    std::vector<int32_t> strips_left, strips_right;  // of these, who take the white space beside them, ascending
    std::array<int32_t, 256> byte_ids{};  // the piece <0xNN> of every byte

    int32_t size() const { return static_cast<int32_t>(types.size()); }
    // id must be in [0, size()).
    std::string_view piece(int32_t id) const {
        return std::string_view(text).substr(offsets[id], offsets[id + 1] - offsets[id]);
    }

    bool operator==(const Vocabulary&) const = default;
};

// From the texts of tokenizer.json and tokenizer_config.json (the latter may be empty). `notes`, if given, receives a
// sentence for each setting that is not used.
Result<Vocabulary> vocabulary_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                                        std::vector<std::string>* notes = nullptr);

// From the lists of a GGUF file: tokens, token_type and merges ("left right").
Result<Vocabulary> vocabulary_from_lists(const std::vector<std::string_view>& pieces,
                                         const std::vector<int32_t>& types,
                                         const std::vector<std::string_view>& merges, SpecialIds special,
                                         bool add_bos);

}  // namespace lapidary::model
