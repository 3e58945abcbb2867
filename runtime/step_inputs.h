// What changes between two steps of one shape, in one block of bytes: every array lies at an offset that the shape
// fixes, so that a recording can be replayed with a block rewritten. No addresses, only numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/kv.h"

namespace lapidary::runtime {

// What a recording does: a chunk of the sequence, rows of a picture or of a recording of sound, or some operations on
// rows that are there already or that the host gives (the head of further rows, a helper's products).
enum class StepKind : uint8_t { tokens, picture, sound, rows };

// Everything that decides which operations a step runs and how large its inputs are.
struct StepShape {
    StepKind kind = StepKind::tokens;
    int32_t columns = 0;              // T
    int32_t leaving = 0;              // the last columns that leave the last layer
    int32_t rows_wanted = 0;          // of these, the last whose scores are wanted
    int32_t scored = 0;               // and the first of those, that the head of this recording serves
    int32_t candidates = 0;           // of each row of scores; 0: all of them are read
    int32_t row_width = 0;            // values of a row that the host gives for every column; 0: it gives none
    std::array<int32_t, 2> pairs{};   // rotated pairs of a head, by KvClass
    int32_t mask_words = 0;           // of 32 tokens that may be candidates; 0: all may
    int32_t widest = 0, head_dim = 0; // longest input row of a product, largest head: what scratch is sized by

    bool operator==(const StepShape&) const = default;
};

// Which recording: the shape, and the identity of everything that is not in the inputs. Identities are never used
// twice (new_identity), so that a recording can never meet the memory of another owner.
struct StepKey {
    StepShape shape;
    int32_t first_layer = 0, last_layer = 0;  // [first, last)
    int32_t first_row = 0;                    // kind rows: of those wanted
    int32_t piece = 0;                        // of a step that a device cuts into several
    uint64_t weights = 0, cache = 0, workspace = 0;

    bool operator==(const StepKey&) const = default;
};

uint64_t new_identity();  // 1, 2, ...; from any thread

// The arrays of a block. Non-owning; the device owns two blocks and takes turns.
class StepInputs {
  public:
    StepInputs() = default;
    StepInputs(std::byte* block, const StepShape& shape);  // 64-byte aligned, bytes(shape) long
    static size_t bytes(const StepShape& shape);

    int32_t& position() const { return *reinterpret_cast<int32_t*>(block_); }  // of column 0
    // Where rows of this step go and which rows of the cache its columns see.
    KvStep& kv(KvClass c) const { return *at<KvStep>(offsets_.kv[slot(c)]); }
    int32_t* ids() const { return at<int32_t>(offsets_.ids); }         // [T]; negative: the host's row stands there
    int32_t* second_ids() const { return at<int32_t>(offsets_.second_ids); }  // [T], pictures only
    // Visible positions [first, last) of column t. Full causal: first 0, last position + t + 1.
    int32_t* first(KvClass c) const { return at<int32_t>(offsets_.first[slot(c)]); }
    int32_t* last(KvClass c) const { return at<int32_t>(offsets_.last[slot(c)]); }
    float* cosine(KvClass c) const { return at<float>(offsets_.cosine[slot(c)]); }  // [T][pairs]
    float* sine(KvClass c) const { return at<float>(offsets_.sine[slot(c)]); }
    int32_t pairs(KvClass c) const { return pairs_[slot(c)]; }
    bool has_mask() const { return offsets_.mask != offsets_.rows; }
    uint32_t* mask() const { return at<uint32_t>(offsets_.mask); }     // bit id % 32 of word id / 32: may be chosen
    int32_t row_width() const { return row_width_; }                   // 0: no rows
    float* rows() const { return at<float>(offsets_.rows); }           // [T][row_width], the last of the arrays

    // Everything but the rows, to a block of the same shape but for the width of its rows.
    void copy_to(const StepInputs& other) const;

  private:
    struct Offsets {
        size_t kv[2] = {}, ids = 0, second_ids = 0, first[2] = {}, last[2] = {}, cosine[2] = {}, sine[2] = {};
        size_t mask = 0, rows = 0, end = 0;
        explicit Offsets(const StepShape& shape);
        Offsets() = default;
    };
    static size_t slot(KvClass c) { return static_cast<size_t>(c); }
    template <class T>
    T* at(size_t offset) const {
        return reinterpret_cast<T*>(block_ + offset);
    }

    std::byte* block_ = nullptr;
    Offsets offsets_;
    std::array<int32_t, 2> pairs_{};
    int32_t row_width_ = 0;
};

}  // namespace lapidary::runtime
