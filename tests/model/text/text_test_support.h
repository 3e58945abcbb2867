// Shared by the tests of model/text: the real and the bundled vocabulary, files, and a naive BPE to compare
// with. Test code only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/text/tokenizer.h"
#include "model/text/vocabulary.h"

namespace lapidary::model::test {

// A file's bytes; fails the test if it cannot be read.
std::string read_file(const std::string& path);
std::string tiny_path(const std::string& name);    // below models/tiny
std::string golden_path(const std::string& name);  // below tests/data/goldens (its README tells their origin)

// The 262,144-piece tokenizer.json, rebuilt from tests/data/vocabulary (unpacked by xz). Kept for the process.
const std::string& real_tokenizer_json();
const Tokenizer& real_tokenizer();
const Tokenizer& tiny_tokenizer();

// A vocabulary of 256 byte pieces, a few special tokens and the given extra pieces, as tokenizer.json.
std::string small_tokenizer_json(const std::vector<std::string>& extra_pieces,
                                 const std::vector<std::string>& merges);

// The textbook algorithm on one text without added tokens: merge the leftmost pair of least rank until none
// is left, by scanning everything each time. No line cutting, no queue.
class NaiveBpe {
  public:
    explicit NaiveBpe(const Vocabulary& vocabulary);
    std::vector<int32_t> encode(std::string_view text) const;

  private:
    const Vocabulary& vocabulary_;
    std::unordered_map<std::string, int32_t> ids_;
    std::unordered_map<std::string, uint32_t> ranks_;  // by left + '\0' + right
};

// xorshift32 for test inputs.
class TestRandom {
  public:
    explicit TestRandom(uint32_t seed) : state_(seed) {}
    uint32_t next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return state_;
    }
    uint32_t below(uint32_t bound) { return next() % bound; }

  private:
    uint32_t state_;
};

// UTF-8 of a code point.
std::string utf8_of(char32_t code_point);
// Pieces of the vocabulary, rare characters, spaces and newlines in random order.
std::string random_text(const Vocabulary& vocabulary, TestRandom& random, int parts);

}  // namespace lapidary::model::test
