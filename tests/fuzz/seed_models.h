// The small models that the fuzzers of model files start from, in the three containers.
#pragma once

#include <string>
#include <vector>

#include "tests/support/gguf_builder.h"

namespace lapidary::fuzz {

// Text models of hidden size 32, whose matrices have the type of this GGUF number; zeros throughout.
test::GgufBuilder gguf_of_type(uint32_t type);

// A tokenizer.json with the pieces of tests/support/small_model.h.
std::string small_tokenizer();

// A file of models/tiny.
std::string tiny_file(const std::string& name);

}  // namespace lapidary::fuzz
