// Hash table from piece text to id over a Vocabulary's own storage: it keeps ids only, so that 262,144
// pieces cost 4 MB. Used by the vocabulary's checks and by the tokenizer.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/text/vocabulary.h"

namespace lapidary::model {

class PieceIndex {
  public:
    PieceIndex() = default;
    // Indexes every piece; of equal texts the first stays and the second is reported by duplicate().
    explicit PieceIndex(const Vocabulary& vocabulary);

    // The id of a text, -1 if it is no piece. `vocabulary` must be the one indexed (or its copy).
    int32_t find(const Vocabulary& vocabulary, std::string_view text) const;
    // The first id whose text an earlier piece already had, -1 if all differ.
    int32_t duplicate() const { return duplicate_; }

  private:
    std::vector<int32_t> slots_;  // ids, -1 where empty; the size is a power of two
    int32_t duplicate_ = -1;
};

}  // namespace lapidary::model
