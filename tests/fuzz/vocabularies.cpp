// See vocabularies.h.
#include "tests/fuzz/vocabularies.h"

#include "tests/fuzz/seed_models.h"
#include "tests/fuzz/target.h"

namespace lapidary::fuzz {
namespace {

model::Tokenizer tokenizer_of(const std::string& json) {
    auto vocabulary = model::vocabulary_from_json(json, "");
    promise(vocabulary.has_value(), "a vocabulary of the repository cannot be read");
    auto tokenizer = model::Tokenizer::create(std::move(*vocabulary));
    promise(tokenizer.has_value(), "a vocabulary of the repository cannot be used");
    return std::move(*tokenizer);
}

}  // namespace

const model::Tokenizer& tiny_tokenizer() {
    static const model::Tokenizer tokenizer = tokenizer_of(tiny_file("tokenizer.json"));
    return tokenizer;
}

}  // namespace lapidary::fuzz
