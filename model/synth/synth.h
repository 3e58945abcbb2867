// Synthetic models: random weights in the exact shapes, tensor set and metadata of Gemma 4, at any scale, as
// files that other engines can run too. For measuring and testing; the weights know nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "kernels/formats.h"
#include "lapidary/result.h"

namespace lapidary::model {

inline constexpr int32_t kSynthContext = 262144;  // positions, as the published model

enum class SynthPreset : uint8_t { full_12b, tiny, narrow };  // narrow: the 12B's layers and heads, and little else
enum class SynthContainer : uint8_t { gguf, hf };

struct SynthOptions {
    std::filesystem::path out;  // a file (gguf) or a new folder (hf)
    SynthPreset preset = SynthPreset::full_12b;
    kernels::Format type = kernels::Format::q4_0;  // q4_0 q8_0 q4_k q6_k bf16 f16; hf: bf16 f16
    int layers = 0;                                // 0: as many as the preset has
    SynthContainer format = SynthContainer::gguf;
    std::function<bool(uint64_t done_bytes, uint64_t total_bytes)> progress;  // false cancels
};

// The target appears only when it is whole; any failure leaves no new file.
Result<void> write_synthetic(const SynthOptions& options);

}  // namespace lapidary::model
