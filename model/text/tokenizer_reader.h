// Internal to model/text: tokenizer.json as far as anything of it is kept.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

struct TextRange {
    uint64_t begin = 0;
    uint64_t end = 0;
};

struct JsonPiece {
    int64_t id = 0;
    TextRange text;
};

struct TokenizerFile {
    std::string text;                    // of pieces and merges
    std::vector<JsonPiece> pieces;       // in file order
    std::vector<TextRange> merge_parts;  // left, right, left, right, ...
    nlohmann::json settings;             // the whole document without model.vocab and model.merges

    TextRange keep(std::string_view part) {
        const uint64_t begin = text.size();
        text.append(part);
        return {begin, text.size()};
    }
    std::string_view at(TextRange range) const {
        return std::string_view(text).substr(range.begin, range.end - range.begin);
    }
};

// Errors of the file, in the words of whoever looks for one.
Error bad_tokenizer(std::string message);          // the file is damaged
Error unsupported_tokenizer(std::string message);  // intact, but it asks for another algorithm

Result<TokenizerFile> read_tokenizer_file(std::string_view tokenizer_json);

}  // namespace lapidary::model
