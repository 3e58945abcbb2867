// Open addressing with linear probing, at most half full.
#include "model/text/piece_index.h"

#include <bit>
#include <functional>

namespace lapidary::model {

PieceIndex::PieceIndex(const Vocabulary& vocabulary) {
    slots_.assign(std::bit_ceil(2 * static_cast<size_t>(vocabulary.size()) + 2), -1);
    const size_t mask = slots_.size() - 1;
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
        const std::string_view text = vocabulary.piece(id);
        size_t slot = std::hash<std::string_view>{}(text)&mask;
        while (slots_[slot] >= 0 && vocabulary.piece(slots_[slot]) != text) slot = (slot + 1) & mask;
        if (slots_[slot] < 0) {
            slots_[slot] = id;
        } else if (duplicate_ < 0) {
            duplicate_ = id;
        }
    }
}

int32_t PieceIndex::find(const Vocabulary& vocabulary, std::string_view text) const {
    if (slots_.empty()) return -1;
    const size_t mask = slots_.size() - 1;
    size_t slot = std::hash<std::string_view>{}(text)&mask;
    while (slots_[slot] >= 0 && vocabulary.piece(slots_[slot]) != text) slot = (slot + 1) & mask;
    return slots_[slot];
}

}  // namespace lapidary::model
