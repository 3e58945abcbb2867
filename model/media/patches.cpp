// Cuts a picture into square patches, in either of the two value orders.
#include "model/media/patches.h"

#include <array>
#include <new>

#include "base/describe.h"

namespace lapidary::model {

namespace {

using ByteValues = std::array<float, 256>;

// float32(u8) * float32(1/255), the product that the processor's rescaling forms.
ByteValues byte_values() {
    constexpr float kRescale = static_cast<float>(1.0 / 255.0);
    ByteValues values;
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * kRescale;
    return values;
}

// One patch whose top left byte is `in`, to `out` of side * side * 3 values.
void cut_patch(const uint8_t* in, size_t stride, size_t side, PatchOrder order, const ByteValues& values,
               float* out) {
    const size_t pixel_step = order == PatchOrder::interleaved ? 3 : 1;
    const size_t channel_step = order == PatchOrder::interleaved ? 1 : side * side;
    for (size_t row = 0; row < side; ++row, in += stride) {
        for (size_t column = 0; column < side; ++column) {
            float* pixel = out + (row * side + column) * pixel_step;
            for (size_t c = 0; c < 3; ++c) pixel[c * channel_step] = values[in[column * 3 + c]];
        }
    }
}

}  // namespace

Result<PatchRows> image_to_patches(const Image& image, uint32_t side, PatchOrder order) {
    const bool fits = side > 0 && image.width > 0 && image.height > 0 && image.width % side == 0 &&
                      image.height % side == 0 && image.rgb.size() == size_t{image.width} * image.height * 3;
    if (!fits)
        return Error{Errc::invalid_argument,
                     concat("picture of ", image.width, "x", image.height, " pixels (", image.rgb.size(),
                            " bytes) does not divide into patches of ", side),
                     "resize it to target_size() first"};
    const size_t columns = image.width / side;
    const size_t rows = image.height / side;
    PatchRows patches;
    patches.values_per_row = size_t{side} * side * 3;
    try {
        patches.values.resize(image.rgb.size());
        patches.positions.reserve(rows * columns);
    } catch (const std::bad_alloc&) {
        return Error{Errc::out_of_memory, concat("no memory for ", rows * columns, " patches of ", side, "x", side, " pixels"),
                     "use a smaller soft-token budget"};
    }
    const ByteValues values = byte_values();
    const size_t stride = size_t{image.width} * 3;
    float* out = patches.values.data();
    for (size_t y = 0; y < rows; ++y) {
        for (size_t x = 0; x < columns; ++x, out += patches.values_per_row) {
            cut_patch(image.rgb.data() + y * side * stride + x * side * 3, stride, side, order, values, out);
            patches.positions.push_back({static_cast<int32_t>(x), static_cast<int32_t>(y)});
        }
    }
    return patches;
}

}  // namespace lapidary::model
