// Finds the tokens that have a meaning for the engine by their texts, so that a vocabulary of any size works.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/config.h"

namespace lapidary::model {

// Collects the ids of the texts it knows while the pieces of a vocabulary are shown to it in order.
class SpecialTexts {
  public:
    void see(int32_t id, std::string_view piece);
    int32_t id(std::string_view text) const;  // -1: the vocabulary has none

  private:
    std::unordered_map<std::string_view, int32_t> found_;
};

// One of the tokens that Gemma 4 added to its vocabulary; none of them is ordinary text.
bool is_added_token(std::string_view piece);

// Fills the media ids that the file's configuration left at -1.
void fill_media_ids(TokenIds& ids, const SpecialTexts& texts);
// Removes ids that no token has, which can never occur; a note says so in the name of `what`.
void drop_ids_beyond(std::vector<int32_t>& ids, int32_t vocab, const std::string& what, std::vector<std::string>& notes);
// Adds <eos>, and the ends of a turn and of a tool request when `chat`.
void add_stop_texts(std::vector<int32_t>& stop_ids, const SpecialTexts& texts, bool chat);
// The ends of pictures and recordings are input only: their logits are inflated by the way the checkpoint
// was made (spec: suppressed ids), so they are never sampled.
void add_suppressed_media(std::vector<int32_t>& suppress_ids, const TokenIds& ids);

}  // namespace lapidary::model
