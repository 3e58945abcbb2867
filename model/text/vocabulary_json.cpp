// Reads tokenizer.json. An event (SAX) reader, not a document tree: the real file is 32 MB with half a
// million merges, and only piece texts, ids and merges are worth keeping.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "model/text/utf8.h"
#include "model/text/vocabulary.h"
#include "model/text/vocabulary_build.h"

namespace lapidary::model {
namespace {

using nlohmann::json;

constexpr const char* kDamagedHint = "tokenizer.json is damaged or not this model's; fetch it again";

Error bad(std::string message) {
    return {Errc::bad_model_file, "tokenizer.json: " + std::move(message), kDamagedHint};
}

Error unsupported(std::string message) {
    return {Errc::unsupported_model, "tokenizer.json: " + std::move(message),
            "this library runs Gemma 4 only, whose tokenizer is a byte-fallback BPE"};
}

struct TextRange {
    uint64_t begin = 0;
    uint64_t end = 0;
};

struct JsonPiece {
    int64_t id = 0;
    TextRange text;
};

struct JsonAddedToken {
    int64_t id = -1;
    std::string content;
};

// Everything that is kept of the file, in file order.
struct JsonContents {
    std::string text;
    std::vector<JsonPiece> pieces;
    std::vector<TextRange> merge_parts;  // left, right, left, right, ...
    std::vector<JsonAddedToken> added;
    std::string model_type;
    std::string normalizer_content;
    std::string unk_token;
    bool byte_fallback = false;

    TextRange keep(std::string_view part) {
        const uint64_t begin = text.size();
        text.append(part);
        return {begin, text.size()};
    }
    std::string_view at(TextRange range) const {
        return std::string_view(text).substr(range.begin, range.end - range.begin);
    }
};

// Depth 1 is the file's object; section_ is its current key, model_key_ the current key of "model".
class TokenizerJsonReader : public json::json_sax_t {
  public:
    JsonContents contents;
    std::string error;

    bool null() override { return true; }
    bool boolean(bool value) override {
        if (in_model_field() && model_key_ == "byte_fallback") contents.byte_fallback = value;
        return true;
    }
    bool number_integer(number_integer_t value) override { return number(value); }
    bool number_unsigned(number_unsigned_t value) override {
        constexpr auto kMost = static_cast<number_unsigned_t>(std::numeric_limits<int64_t>::max());
        return number(static_cast<int64_t>(std::min(value, kMost)));
    }
    bool number_float(number_float_t, const string_t&) override {
        return in_vocab() ? fail("the id of " + readable(key_) + " is not a whole number") : true;
    }
    bool binary(binary_t&) override { return true; }
    bool string(string_t& value) override;
    bool start_object(size_t) override {
        ++depth_;
        if (section_ == Section::added_tokens && depth_ == 3) contents.added.emplace_back();
        return true;
    }
    bool end_object() override {
        --depth_;
        return true;
    }
    bool start_array(size_t) override {
        ++depth_;
        if (in_merges() && depth_ == 4) merge_start_ = contents.merge_parts.size();
        return true;
    }
    bool end_array() override {
        if (in_merges() && depth_ == 4 && contents.merge_parts.size() != merge_start_ + 2) {
            return fail("merge " + std::to_string(merge_start_ / 2) + " does not have two parts");
        }
        --depth_;
        return true;
    }
    bool key(string_t& value) override;
    bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
        return fail("not valid JSON at byte " + std::to_string(position));
    }

  private:
    enum class Section { other, added_tokens, normalizer, model };
    enum class ModelPart { field, vocab, merges };

    bool fail(std::string message) {
        if (error.empty()) error = std::move(message);
        return false;
    }
    bool in_model_field() const { return section_ == Section::model && depth_ == 2; }
    bool in_vocab() const { return section_ == Section::model && part_ == ModelPart::vocab && depth_ == 3; }
    bool in_merges() const { return section_ == Section::model && part_ == ModelPart::merges; }
    bool number(int64_t value);
    bool merge_text(const std::string& value);

    int depth_ = 0;
    Section section_ = Section::other;
    ModelPart part_ = ModelPart::field;
    std::string model_key_;
    std::string key_;  // the last key at any other depth; a piece text inside the vocabulary
    size_t merge_start_ = 0;
};

bool TokenizerJsonReader::key(string_t& value) {
    if (depth_ == 1) {
        section_ = value == "added_tokens" ? Section::added_tokens
                   : value == "normalizer" ? Section::normalizer
                   : value == "model"      ? Section::model
                                           : Section::other;
    } else if (section_ == Section::model && depth_ == 2) {
        model_key_ = value;
        part_ = value == "vocab"    ? ModelPart::vocab
                : value == "merges" ? ModelPart::merges
                                    : ModelPart::field;
    } else {
        key_.swap(value);
    }
    return true;
}

bool TokenizerJsonReader::number(int64_t value) {
    if (in_vocab()) {
        if (value < 0 || value >= kMaxPieces) {
            return fail("piece " + readable(key_) + " has the id " + std::to_string(value) + ", outside 0.." +
                        std::to_string(kMaxPieces - 1));
        }
        contents.pieces.push_back({value, contents.keep(key_)});
    } else if (section_ == Section::added_tokens && depth_ == 3 && key_ == "id" && !contents.added.empty()) {
        contents.added.back().id = value;
    }
    return true;
}

bool TokenizerJsonReader::string(string_t& value) {
    if (in_merges() && depth_ >= 3) return merge_text(value);
    if (in_vocab()) return fail("the id of " + readable(key_) + " is not a number");
    if (in_model_field()) {
        if (model_key_ == "type") contents.model_type = value;
        if (model_key_ == "unk_token") contents.unk_token = value;
    } else if (section_ == Section::normalizer && key_ == "content") {
        contents.normalizer_content = value;
    } else if (section_ == Section::added_tokens && depth_ == 3 && key_ == "content" &&
               !contents.added.empty()) {
        contents.added.back().content = value;
    }
    return true;
}

// A merge is ["left", "right"] or, in older files, "left right".
bool TokenizerJsonReader::merge_text(const std::string& value) {
    if (depth_ == 4) {
        contents.merge_parts.push_back(contents.keep(value));
        return true;
    }
    const size_t space = value.find(' ', 1);
    if (depth_ != 3 || space == std::string::npos) {
        return fail("merge " + std::to_string(contents.merge_parts.size() / 2) + " " + readable(value) +
                    " is not \"left right\"");
    }
    contents.merge_parts.push_back(contents.keep(std::string_view(value).substr(0, space)));
    contents.merge_parts.push_back(contents.keep(std::string_view(value).substr(space + 1)));
    return true;
}

// Which text each id has; added tokens may extend the vocabulary but must not contradict it.
Result<std::vector<TextRange>> order_by_id(JsonContents& contents) {
    const size_t most = contents.pieces.size() + contents.added.size();
    std::vector<std::optional<TextRange>> by_id(most);
    for (const JsonPiece& piece : contents.pieces) {
        if (piece.id >= static_cast<int64_t>(most)) {
            return bad("id " + std::to_string(piece.id) + " in a vocabulary of " + std::to_string(most) +
                       " pieces");
        }
        if (by_id[piece.id]) {
            return bad("id " + std::to_string(piece.id) + " belongs to both " +
                       readable(contents.at(*by_id[piece.id])) + " and " + readable(contents.at(piece.text)));
        }
        by_id[piece.id] = piece.text;
    }
    for (const JsonAddedToken& token : contents.added) {
        const std::string name =
            "added token " + readable(token.content) + " with id " + std::to_string(token.id);
        if (token.content.empty() || token.id < 0 || token.id >= static_cast<int64_t>(most)) {
            return bad(name + " does not fit a vocabulary of " + std::to_string(most) + " pieces");
        }
        std::optional<TextRange>& slot = by_id[token.id];
        if (!slot) slot = contents.keep(token.content);
        if (contents.at(*slot) != token.content) {
            return bad(name + ": that id is the piece " + readable(contents.at(*slot)));
        }
    }
    while (!by_id.empty() && !by_id.back()) by_id.pop_back();
    std::vector<TextRange> ordered;
    ordered.reserve(by_id.size());
    for (const auto& range : by_id) {
        if (!range) return bad("no piece has the id " + std::to_string(ordered.size()));
        if (range->begin == range->end) return bad("piece " + std::to_string(ordered.size()) + " is empty");
        ordered.push_back(*range);
    }
    return ordered;
}

// The text of a token in tokenizer_config.json: a string, or an object with "content".
std::string config_token(const json& config, const char* name, std::string_view fallback) {
    const auto found = config.find(name);
    if (found == config.end() || found->is_null()) return std::string(fallback);
    if (found->is_string()) return found->get<std::string>();
    if (found->is_object() && found->contains("content") && found->at("content").is_string()) {
        return found->at("content").get<std::string>();
    }
    return std::string(fallback);
}

Result<json> parse_config(std::string_view text) {
    if (text.empty()) return json::object();
    json config = json::parse(text.begin(), text.end(), nullptr, false);
    if (config.is_object()) return config;
    return Error{Errc::bad_model_file, "tokenizer_config.json is not a JSON object", "fetch the file again"};
}

Result<void> read_config(Vocabulary& vocabulary, const JsonContents& contents, std::string_view config_text) {
    LAP_ASSIGN(const json config, parse_config(config_text));
    const auto id_of = [&](const std::string& text) {
        for (const JsonAddedToken& token : contents.added) {
            if (token.content == text) return static_cast<int32_t>(token.id);
        }
        return -1;
    };
    vocabulary.special.bos = id_of(config_token(config, "bos_token", "<bos>"));
    vocabulary.special.eos = id_of(config_token(config, "eos_token", "<eos>"));
    vocabulary.special.pad = id_of(config_token(config, "pad_token", "<pad>"));
    vocabulary.special.unk =
        id_of(config_token(config, "unk_token", contents.unk_token.empty() ? "<unk>" : contents.unk_token));
    const auto add_bos = config.find("add_bos_token");
    vocabulary.add_bos = add_bos != config.end() && add_bos->is_boolean() && add_bos->get<bool>();
    return {};
}

Result<JsonContents> read_json(std::string_view text) {
    TokenizerJsonReader reader;
    reader.contents.text.reserve(text.size() / 2);
    const bool read = json::sax_parse(text.begin(), text.end(), &reader);
    if (!read || !reader.error.empty()) return bad(reader.error.empty() ? "not valid JSON" : reader.error);
    const JsonContents& contents = reader.contents;
    if (contents.model_type != "BPE")
        return unsupported("the model type is " + readable(contents.model_type) + ", not \"BPE\"");
    if (!contents.byte_fallback) return unsupported("byte_fallback is off");
    if (contents.normalizer_content != "\u2581")
        return unsupported("the normalizer does not write a space as U+2581");
    return std::move(reader.contents);
}

}  // namespace

Result<Vocabulary> vocabulary_from_json(std::string_view tokenizer_json,
                                        std::string_view tokenizer_config_json) {
    LAP_ASSIGN(JsonContents contents, read_json(tokenizer_json));
    LAP_ASSIGN(const std::vector<TextRange> ordered, order_by_id(contents));
    Vocabulary vocabulary;
    vocabulary.offsets.reserve(ordered.size() + 1);
    vocabulary.offsets.push_back(0);
    vocabulary.types.reserve(ordered.size());
    for (const TextRange& range : ordered) {
        vocabulary.text.append(contents.at(range));
        if (vocabulary.text.size() > std::numeric_limits<uint32_t>::max())
            return bad("over 4 GiB of piece texts");
        vocabulary.offsets.push_back(static_cast<uint32_t>(vocabulary.text.size()));
        vocabulary.types.push_back(TokenType::normal);
    }
    for (const JsonAddedToken& token : contents.added) vocabulary.types[token.id] = TokenType::control;
    LAP_TRY(read_config(vocabulary, contents, tokenizer_config_json));
    std::vector<MergeTexts> merges;
    merges.reserve(contents.merge_parts.size() / 2);
    for (size_t i = 0; i + 1 < contents.merge_parts.size(); i += 2) {
        merges.emplace_back(contents.at(contents.merge_parts[i]), contents.at(contents.merge_parts[i + 1]));
    }
    return finish_vocabulary(std::move(vocabulary), merges);
}

}  // namespace lapidary::model
