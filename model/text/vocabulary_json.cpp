// The vocabulary out of tokenizer.json and tokenizer_config.json; see vocabulary.h.
#include <algorithm>
#include <limits>
#include <optional>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/tokenizer_reader.h"
#include "model/text/tokenizer_settings.h"
#include "model/text/vocabulary.h"
#include "model/text/vocabulary_build.h"

namespace lapidary::model {
namespace {

// Which text each id has; added tokens may extend the vocabulary but must not contradict it.
Result<std::vector<TextRange>> order_by_id(TokenizerFile& contents, const std::vector<JsonAddedToken>& added) {
    const size_t most = contents.pieces.size() + added.size();
    std::vector<std::optional<TextRange>> by_id(most);
    for (const JsonPiece& piece : contents.pieces) {
        if (piece.id >= static_cast<int64_t>(most))
            return bad_tokenizer(concat("id ", piece.id, " in a vocabulary of ", most, " pieces"));
        if (by_id[piece.id])
            return bad_tokenizer(concat("id ", piece.id, " belongs to both ", in_double_quotes(contents.at(*by_id[piece.id])),
                                        " and ", in_double_quotes(contents.at(piece.text))));
        by_id[piece.id] = piece.text;
    }
    for (const JsonAddedToken& token : added) {
        const std::string name = concat("added token ", in_double_quotes(token.content), " with id ", token.id);
        if (token.content.empty() || token.id < 0 || token.id >= static_cast<int64_t>(most))
            return bad_tokenizer(concat(name, " does not fit a vocabulary of ", most, " pieces"));
        std::optional<TextRange>& slot = by_id[token.id];
        if (!slot) slot = contents.keep(token.content);
        if (contents.at(*slot) != token.content)
            return bad_tokenizer(name + ": that id is the piece " + in_double_quotes(contents.at(*slot)));
    }
    while (!by_id.empty() && !by_id.back()) by_id.pop_back();
    std::vector<TextRange> ordered;
    ordered.reserve(by_id.size());
    for (const auto& range : by_id) {
        if (!range) return bad_tokenizer(concat("no piece has the id ", ordered.size()));
        if (range->begin == range->end) return bad_tokenizer(concat("piece ", ordered.size(), " is empty"));
        ordered.push_back(*range);
    }
    return ordered;
}

void name_special_ids(Vocabulary& vocabulary, const TokenizerSettings& settings, const TokenizerConfig& config) {
    const auto id_of = [&](const std::string& text) {
        for (const JsonAddedToken& token : settings.added)
            if (token.content == text) return static_cast<int32_t>(token.id);
        return -1;
    };
    vocabulary.special.bos = id_of(config.bos);
    vocabulary.special.eos = id_of(config.eos);
    vocabulary.special.pad = id_of(config.pad);
    const std::string& model_unk = settings.unk_token.empty() ? "<unk>" : settings.unk_token;
    vocabulary.special.unk = id_of(config.unk.empty() ? model_unk : config.unk);
    vocabulary.add_bos = config.add_bos;
}

}  // namespace

Result<Vocabulary> vocabulary_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                                        std::vector<std::string>* notes) {
    std::vector<std::string> own_notes;
    std::vector<std::string>& said = notes ? *notes : own_notes;
    LAP_ASSIGN(TokenizerFile file, read_tokenizer_file(tokenizer_json));
    LAP_ASSIGN(const TokenizerSettings settings, read_tokenizer_settings(file.settings, said));
    LAP_ASSIGN(const TokenizerConfig config, read_tokenizer_config(tokenizer_config_json, said));
    LAP_ASSIGN(const std::vector<TextRange> ordered, order_by_id(file, settings.added));
    Vocabulary vocabulary;
    vocabulary.offsets.reserve(ordered.size() + 1);
    vocabulary.offsets.push_back(0);
    vocabulary.types.reserve(ordered.size());
    for (const TextRange& range : ordered) {
        vocabulary.text.append(file.at(range));
        if (vocabulary.text.size() > std::numeric_limits<uint32_t>::max())
            return bad_tokenizer("over 4 GiB of piece texts");
        vocabulary.offsets.push_back(static_cast<uint32_t>(vocabulary.text.size()));
        vocabulary.types.push_back(TokenType::normal);
    }
    for (const JsonAddedToken& token : settings.added)
        vocabulary.types[token.id] = token.special ? TokenType::control : TokenType::user_defined;
    for (const JsonAddedToken& token : settings.added) {
        if (token.strip_left) vocabulary.strips_left.push_back(static_cast<int32_t>(token.id));
        if (token.strip_right) vocabulary.strips_right.push_back(static_cast<int32_t>(token.id));
    }
    std::sort(vocabulary.strips_left.begin(), vocabulary.strips_left.end());
    std::sort(vocabulary.strips_right.begin(), vocabulary.strips_right.end());
    name_special_ids(vocabulary, settings, config);
    std::vector<MergeTexts> merges;
    if (file.merge_parts.empty())
        said.push_back("tokenizer.json has no merges: text is cut into single characters");
    merges.reserve(file.merge_parts.size() / 2);
    for (size_t i = 0; i + 1 < file.merge_parts.size(); i += 2)
        merges.emplace_back(file.at(file.merge_parts[i]), file.at(file.merge_parts[i + 1]));
    return finish_vocabulary(std::move(vocabulary), merges);
}

}  // namespace lapidary::model
