// The rows of shaders/shaders.inc, as pipelines, tests, benches and reports see them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace lapidary::runtime::vulkan {

enum class Shader : uint16_t {
#define LAP_SHADER(name, source, defines, pointers, scalars, needs) name,
#include "shaders/shaders.inc"
#undef LAP_SHADER
};

// What a device must have for a shader beyond Vulkan 1.2 with buffer device addresses. Bits.
enum Needs : uint32_t {
    kNothing = 0,
    kDot = 1,           // packed dot products of int8
    kFloat16 = 2,       // arithmetic in f16
    kMatrixHalf = 4,    // cooperative matrices f16 x f16 -> f32
    kMatrixInt8 = 8,    // cooperative matrices s8 x s8 -> s32
};

struct ShaderRow {
    std::string_view name, source, defines;
    std::string_view pointers;  // r, w or b, in the order of the push constants
    uint32_t scalars = 0;       // bytes behind them
    uint32_t needs = kNothing;
    std::span<const uint32_t> words;  // SPIR-V
};

std::span<const ShaderRow> shader_rows();
inline const ShaderRow& row_of(Shader s) { return shader_rows()[static_cast<size_t>(s)]; }
// Of all SPIR-V: verdicts, races and pipeline caches belong to one.
uint64_t shaders_hash();

}  // namespace lapidary::runtime::vulkan
