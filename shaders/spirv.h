// The compiled rows of shaders.inc: k_<name>, k_<name>_words.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lapidary::shaders {

#define LAP_SHADER(name, source, defines, pointers, scalars, needs) \
    extern const uint32_t k_##name[];                               \
    extern const size_t k_##name##_words;
#include "shaders/shaders.inc"
#undef LAP_SHADER

}  // namespace lapidary::shaders
