// Internal to model/text: what tokenizer.json and tokenizer_config.json say beside pieces and merges. Every step of
// HF tokenizers' pipeline is one that the tokenizer here performs too, is refused, or is named in a note.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

struct JsonAddedToken {
    int64_t id = -1;
    std::string content;
    bool special = true;              // a control token; else a word of the text that is never cut
    bool strip_left = false;          // white space in front of it goes with it,
    bool strip_right = false;         // and behind it
};

struct TokenizerSettings {
    std::vector<JsonAddedToken> added;  // in file order
    std::string unk_token;
};

// `settings`: the document without vocabulary and merges.
Result<TokenizerSettings> read_tokenizer_settings(const nlohmann::json& settings, std::vector<std::string>& notes);

struct TokenizerConfig {
    std::string bos = "<bos>", eos = "<eos>", pad = "<pad>", unk;
    bool add_bos = false;
};
// The text may be empty: no such file.
Result<TokenizerConfig> read_tokenizer_config(std::string_view tokenizer_config_json, std::vector<std::string>& notes);

}  // namespace lapidary::model
