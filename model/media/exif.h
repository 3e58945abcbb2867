// The one EXIF field that changes a picture: its orientation. Not a general EXIF reader. Called by the PNG
// and JPEG decoders through image_file.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lapidary/result.h"
#include "model/media/image_file.h"

namespace lapidary::model {

// `tiff` begins with "II" or "MM" (what follows "Exif\0\0" in a JPEG, the whole eXIf chunk of a PNG).
// 1 to 8; 1 (upright) also when the field is absent or the data is damaged, since the pixels are fine without
// it.
int exif_orientation(std::span<const uint8_t> tiff);

// Turns and mirrors the picture so that it stands upright; fails only for want of memory.
Result<Image> apply_orientation(Image image, int orientation, std::string_view name);

}  // namespace lapidary::model
