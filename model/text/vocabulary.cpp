// The list form of the vocabulary and the checks that both forms share.
#include "model/text/vocabulary.h"

#include <algorithm>
#include <limits>

#include "base/describe.h"
#include "base/try.h"
#include "base/utf8.h"
#include "model/text/piece_index.h"
#include "model/text/vocabulary_build.h"

namespace lapidary::model {
namespace {

constexpr const char* kDamagedHint = "these lists are not those of a Gemma 4 tokenizer; convert the model again";

Error bad(std::string message) { return {Errc::bad_model_file, std::move(message), kDamagedHint}; }

Result<void> find_byte_pieces(Vocabulary& vocabulary) {
    vocabulary.byte_ids.fill(-1);
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
        const int byte = byte_of_piece(vocabulary.piece(id));
        if (byte < 0) continue;
        vocabulary.byte_ids[byte] = id;
        vocabulary.types[id] = TokenType::byte;
    }
    const auto missing = std::find(vocabulary.byte_ids.begin(), vocabulary.byte_ids.end(), -1);
    if (missing == vocabulary.byte_ids.end()) return {};
    return bad(concat("vocabulary: there is no byte piece for byte ", missing - vocabulary.byte_ids.begin(),
                      " (256 pieces <0x00>..<0xFF> are needed)"));
}

// Added tokens by type; the visible ones are user-defined whatever the source says, so that sources agree.
void find_added_tokens(Vocabulary& vocabulary) {
    vocabulary.added_tokens.clear();
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
        TokenType& type = vocabulary.types[id];
        if (type == TokenType::unknown) type = TokenType::control;
        if (type != TokenType::control && type != TokenType::user_defined) continue;
        if (is_visible_special(vocabulary.piece(id))) type = TokenType::user_defined;
        vocabulary.added_tokens.push_back(id);
    }
}

Result<void> check_special_ids(const Vocabulary& vocabulary) {
    const std::pair<const char*, int32_t> named[] = {{"bos", vocabulary.special.bos},
                                                     {"eos", vocabulary.special.eos},
                                                     {"pad", vocabulary.special.pad},
                                                     {"unk", vocabulary.special.unk}};
    for (const auto& [name, id] : named)
        if (id < -1 || id >= vocabulary.size())
            return bad(concat("vocabulary: the ", name, " id ", id, " is outside the ", vocabulary.size(), " pieces"));
    return {};
}

// Merges whose parts or result are no pieces are dropped: no engine can apply them (the specification's
// guard). So are merges into an added token: those are cut out before merging, and a text that must not
// be parsed for them must not reach them through the back door either.
void resolve_merges(Vocabulary& vocabulary, const PieceIndex& index, const std::vector<MergeTexts>& merges) {
    vocabulary.merges.reserve(merges.size());
    std::string joined;
    for (const auto& [left, right] : merges) {
        joined.assign(left).append(right);
        const Merge merge{index.find(vocabulary, left), index.find(vocabulary, right),
                          index.find(vocabulary, joined)};
        const bool known = merge.left >= 0 && merge.right >= 0 && merge.result >= 0;
        if (known && !std::binary_search(vocabulary.added_tokens.begin(), vocabulary.added_tokens.end(),
                                         merge.result)) {
            vocabulary.merges.push_back(merge);
        } else {
            ++vocabulary.dropped_merges;
        }
    }
}

}  // namespace

bool is_visible_special(std::string_view piece) {
    constexpr std::string_view kVisible[] = {"<|channel>",   "<channel|>",       "<|tool_call>",
                                             "<tool_call|>", "<|tool_response>", "<tool_response|>",
                                             "<|\"|>"};
    return std::find(std::begin(kVisible), std::end(kVisible), piece) != std::end(kVisible);
}

int byte_of_piece(std::string_view piece) {
    const auto hex = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    if (piece.size() != 6 || piece.substr(0, 3) != "<0x" || piece[5] != '>') return -1;
    const int high = hex(piece[3]);
    const int low = hex(piece[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

Result<Vocabulary> finish_vocabulary(Vocabulary vocabulary, const std::vector<MergeTexts>& merges) {
    if (vocabulary.size() == 0) return bad("vocabulary: there are no pieces");
    const PieceIndex index(vocabulary);
    if (const int32_t second = index.duplicate(); second >= 0) {
        const std::string_view piece = vocabulary.piece(second);
        return bad(concat("vocabulary: ids ", index.find(vocabulary, piece), " and ", second, " have the same piece ",
                          in_double_quotes(piece)));
    }
    LAP_TRY(find_byte_pieces(vocabulary));
    LAP_TRY(check_special_ids(vocabulary));
    find_added_tokens(vocabulary);
    resolve_merges(vocabulary, index, merges);
    return vocabulary;
}

Result<Vocabulary> vocabulary_from_lists(const std::vector<std::string_view>& pieces,
                                         const std::vector<int32_t>& types,
                                         const std::vector<std::string_view>& merges, SpecialIds special,
                                         bool add_bos) {
    if (pieces.size() != types.size())
        return bad(concat("vocabulary: ", pieces.size(), " pieces but ", types.size(), " token types"));
    if (static_cast<int64_t>(pieces.size()) > kMaxPieces)
        return bad(concat("vocabulary: ", pieces.size(), " pieces, more than ", kMaxPieces));
    Vocabulary vocabulary;
    vocabulary.offsets.push_back(0);
    for (size_t id = 0; id < pieces.size(); ++id) {
        const std::string name = concat("vocabulary: piece ", id);
        if (pieces[id].empty()) return bad(name + " is empty");
        if (!valid_utf8(pieces[id])) return bad(name + " is not UTF-8");
        if (types[id] < 0 || types[id] > 6) return bad(concat(name, " has the unknown type ", types[id]));
        vocabulary.text.append(pieces[id]);
        if (vocabulary.text.size() > std::numeric_limits<uint32_t>::max())
            return bad("vocabulary: over 4 GiB of text");
        vocabulary.offsets.push_back(static_cast<uint32_t>(vocabulary.text.size()));
        vocabulary.types.push_back(types[id] == 0 ? TokenType::normal : static_cast<TokenType>(types[id]));
    }
    vocabulary.special = special;
    vocabulary.add_bos = add_bos;
    std::vector<MergeTexts> pairs;
    pairs.reserve(merges.size());
    for (size_t i = 0; i < merges.size(); ++i) {
        const size_t space = merges[i].find(' ', 1);  // a left text may itself begin with a space
        if (space == std::string_view::npos || space + 1 == merges[i].size())
            return bad(concat("vocabulary: merge ", i, " ", in_double_quotes(merges[i]), " is not \"left right\""));
        pairs.emplace_back(merges[i].substr(0, space), merges[i].substr(space + 1));
    }
    return finish_vocabulary(std::move(vocabulary), pairs);
}

}  // namespace lapidary::model
