// A resized picture as rows of pixel values, one row per soft token, with grid positions. No normalisation:
// the embedder's LayerNorm comes next, in the forward pass.
#pragma once

#include <cstdint>
#include <vector>

#include "lapidary/result.h"
#include "model/media/image_file.h"

namespace lapidary::model {

enum class PatchOrder {
    interleaved,  // RGBRGB..., rows top to bottom: what safetensors weights expect
    planar,       // RRR...GGG...BBB: what GGUF projectors expect, whose converter permuted the columns
};

struct PatchPosition {
    int32_t x = 0;  // column of the patch grid
    int32_t y = 0;  // row
    bool operator==(const PatchPosition&) const = default;
};

struct PatchRows {
    size_t values_per_row = 0;             // side * side * 3
    std::vector<float> values;             // [positions.size()][values_per_row], each u8 * float(1/255)
    std::vector<PatchPosition> positions;  // raster order
};

// Both sides of the picture must be multiples of `side` (PatchGeometry::side(), 48 in the 12B model).
Result<PatchRows> image_to_patches(const Image& image, uint32_t side, PatchOrder order);

}  // namespace lapidary::model
