// The numbers that GGUF gives to tensor types: those we read, and names for all others, so that a refusal
// can say what it met. Source of the numbers: the enumeration in ggml's public header.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "kernels/formats.h"

namespace lapidary::runtime {

struct GgufFormatNumber {
    uint32_t number;
    kernels::Format format;
};
inline constexpr GgufFormatNumber kGgufFormats[] = {
    {0, kernels::Format::f32},     {1, kernels::Format::f16},     {2, kernels::Format::q4_0},
    {3, kernels::Format::q4_1},    {6, kernels::Format::q5_0},    {7, kernels::Format::q5_1},
    {8, kernels::Format::q8_0},    {10, kernels::Format::q2_k},   {11, kernels::Format::q3_k},
    {12, kernels::Format::q4_k},   {13, kernels::Format::q5_k},   {14, kernels::Format::q6_k},
    {20, kernels::Format::iq4_nl}, {23, kernels::Format::iq4_xs}, {30, kernels::Format::bf16},
};

inline std::optional<kernels::Format> gguf_format(uint32_t number) {
    for (const auto& entry : kGgufFormats)
        if (entry.number == number) return entry.format;
    return std::nullopt;
}

// The name of a type that is not read here, also of one that this version has never heard of.
inline std::string gguf_foreign_type(uint32_t number) {
    static constexpr std::pair<uint32_t, const char*> kForeign[] = {
        {4, "q4_2"},    {5, "q4_3"},        {9, "q8_1"},        {15, "q8_k"},       {16, "iq2_xxs"},
        {17, "iq2_xs"}, {18, "iq3_xxs"},    {19, "iq1_s"},      {21, "iq3_s"},      {22, "iq2_s"},
        {24, "i8"},     {25, "i16"},        {26, "i32"},        {27, "i64"},        {28, "f64"},
        {29, "iq1_m"},  {31, "q4_0_4_4"},   {32, "q4_0_4_8"},   {33, "q4_0_8_8"},   {34, "tq1_0"},
        {35, "tq2_0"},  {36, "iq4_nl_4_4"}, {37, "iq4_nl_4_8"}, {38, "iq4_nl_8_8"}, {39, "mxfp4"},
        {40, "nvfp4"},  {41, "q1_0"},       {42, "q2_0"},
    };
    for (const auto& [known, name] : kForeign)
        if (known == number) return name;
    return "number " + std::to_string(number);
}

}  // namespace lapidary::runtime
