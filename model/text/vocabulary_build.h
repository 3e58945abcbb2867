// Internal to model/text: the checks and look-ups that both vocabulary sources end with.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "model/text/vocabulary.h"

namespace lapidary::model {

// More pieces than this is a damaged file (Gemma 4 has 262,144); it bounds what bad input can allocate.
inline constexpr int64_t kMaxPieces = int64_t{1} << 22;

// True for the seven added tokens that are visible in output text, which makes them user-defined.
bool is_visible_special(std::string_view piece);
// The byte of a piece spelled <0xNN>, -1 for any other text.
int byte_of_piece(std::string_view piece);

using MergeTexts = std::pair<std::string_view, std::string_view>;

// Takes a vocabulary with text, offsets, types, special and add_bos; checks it and fills in the rest.
Result<Vocabulary> finish_vocabulary(Vocabulary vocabulary, const std::vector<MergeTexts>& merges);

}  // namespace lapidary::model
