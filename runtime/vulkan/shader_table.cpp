// Rows and their SPIR-V; see shader_table.h.
#include "runtime/vulkan/shader_table.h"

#include <xxhash.h>

#include "shaders/spirv.h"

namespace lapidary::runtime::vulkan {

std::span<const ShaderRow> shader_rows() {
    static const ShaderRow kRows[] = {
#define LAP_SHADER(name, source, defines, pointers, scalars, needs) \
    {#name, source, defines, pointers, scalars, needs, {shaders::k_##name, shaders::k_##name##_words}},
#include "shaders/shaders.inc"
#undef LAP_SHADER
    };
    return kRows;
}

uint64_t shaders_hash() {
    static const uint64_t kHash = [] {
        uint64_t hash = 0;
        for (const ShaderRow& r : shader_rows()) hash = XXH3_64bits_withSeed(r.words.data(), r.words.size_bytes(), hash);
        return hash;
    }();
    return kHash;
}

}  // namespace lapidary::runtime::vulkan
