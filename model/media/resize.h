// How large a picture becomes for a soft-token budget, and the resampling that gets it there: antialiased
// bicubic in the integer arithmetic of torchvision's uint8 path, bit for bit. Called with decoded pictures
// and video frames.
#pragma once

#include <cstdint>

#include "lapidary/result.h"
#include "model/media/image_file.h"

namespace lapidary::model {

// The patch geometry of a checkpoint. One soft token covers side() x side() pixels.
struct PatchGeometry {
    uint32_t patch_size = 16;
    uint32_t pooling_kernel_size = 3;
    uint32_t side() const { return patch_size * pooling_kernel_size; }
};

struct ImageSize {
    uint32_t width = 0;
    uint32_t height = 0;
    bool operator==(const ImageSize&) const = default;
};

inline constexpr uint32_t kImageBudgetsTokens[] = {70, 140, 280, 560, 1120};

// Target size for at most `budget_tokens` soft tokens (any positive number). Enlarges as well as shrinks.
Result<ImageSize> target_size(ImageSize source, uint32_t budget_tokens, PatchGeometry geometry = {});

// The same for a number of patch_size x patch_size patches, which need not be a whole number of soft tokens.
Result<ImageSize> target_size_for_patches(ImageSize source, uint64_t max_patches,
                                          PatchGeometry geometry = {});

// A side this long is no picture; the filters of the two passes grow with it.
inline constexpr uint32_t kMaxImageSide = 1u << 20;

// `image` stretched to `size`; a copy when it has that size already. The picture between the two passes,
// size.width x image.height, must not exceed kMaxImagePixels either; with a size from target_size() it never
// does.
Result<Image> resize_image(const Image& image, ImageSize size);

}  // namespace lapidary::model
