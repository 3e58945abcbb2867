// Text to token ids and back, by the byte-fallback BPE of Gemma 4. Immutable after create(), so any number
// of threads may share one. It knows no chat layout (chat_template.h) and reads no files (vocabulary.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"
#include "model/text/added_tokens.h"
#include "model/text/piece_index.h"
#include "model/text/vocabulary.h"

namespace lapidary::model {

// A stretch of text and whether control tokens written in it (`<turn|>`...) become those tokens. Added tokens that
// control nothing, words that a fine-tune gave ids of their own, always do.
struct TextSpan {
    std::string_view text;
    bool parse_special = false;
};

struct EncodeOptions {
    bool parse_special = false;
    bool add_bos = false;  // put the bos id first, unless the ids begin with it already
};

class Tokenizer {
  public:
    static Result<Tokenizer> create(Vocabulary vocabulary);

    Result<std::vector<int32_t>> encode(std::string_view text, EncodeOptions options = {}) const;
    // Encodes the spans as one text: ordinary text on both sides of a border merges as if it were never cut.
    // `work`, if given, receives the number of entries the merge queue took and of bytes compared with added tokens.
    Result<std::vector<int32_t>> encode_spans(std::span<const TextSpan> spans, bool add_bos = false,
                                              int64_t* work = nullptr) const;

    // The text of the ids. Control tokens give nothing unless `render_special`; broken bytes give U+FFFD
    // each.
    Result<std::string> decode(std::span<const int32_t> ids, bool render_special = false) const;

    // The bytes one id stands for: a byte piece may be part of a character only. id must be valid.
    std::string token_bytes(int32_t id, bool render_special = false) const;
    // The piece as the vocabulary spells it (U+2581 for a space). id must be valid.
    std::string_view piece(int32_t id) const { return vocabulary_.piece(id); }
    TokenType type(int32_t id) const { return vocabulary_.types[id]; }
    bool is_added(int32_t id) const;
    bool valid_id(int32_t id) const { return id >= 0 && id < vocabulary_.size(); }
    int32_t size() const { return vocabulary_.size(); }

    // The id of an added token such as `<|turn>`; nothing if the vocabulary has none of that text.
    std::optional<int32_t> special(std::string_view text) const;
    // The same for a token the caller cannot do without.
    Result<int32_t> require_special(std::string_view text) const;
    const Vocabulary& vocabulary() const { return vocabulary_; }

  private:
    struct MergeScratch;

    explicit Tokenizer(Vocabulary vocabulary);
    void index_merges();
    bool is_word(int32_t id) const;  // an added token that is looked for in every text
    uint32_t merge_rank(int32_t left, int32_t right) const;  // kNoRank if the pair never merges
    // Of a piece that is one character; -1: written as bytes. So is a control token of one character, because
    // text that somebody typed must not forge one.
    int32_t plain_id(std::string_view character) const;
    int32_t character_id(std::string_view character) const;
    void encode_fragment(std::string_view text, MergeScratch& scratch, std::vector<int32_t>& ids) const;
    void encode_run(std::string_view run, MergeScratch& scratch, std::vector<int32_t>& ids) const;
    void append_bytes(std::string_view bytes, std::vector<int32_t>& ids) const;

    Vocabulary vocabulary_;
    PieceIndex index_;
    AddedTokens added_;
    std::vector<uint32_t> merge_slots_;     // hash table of ranks
    bool has_words_ = false;
    std::array<int32_t, 128> ascii_ids_{};  // character_id of one-byte characters
};

}  // namespace lapidary::model
