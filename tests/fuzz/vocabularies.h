// The tokenizer of the bundled model, read once.
#pragma once

#include "model/text/tokenizer.h"

namespace lapidary::fuzz {

const model::Tokenizer& tiny_tokenizer();

}  // namespace lapidary::fuzz
