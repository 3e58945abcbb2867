// Order of values and patches, the exact pixel scale, and the floats of transformers' processor.
#include "model/media/patches.h"

#include <doctest/doctest.h>

#include "model/media/placeholders.h"
#include "tests/model/media/support.h"

using namespace lapidary;
using namespace lapidary::model;

TEST_CASE("image_to_patches: both value orders, by the definition") {
    for (const uint32_t side : {1u, 6u, 48u}) {
        const Image image = test_picture(3 * side, 2 * side);
        const PatchRows hwc = image_to_patches(image, side, PatchOrder::interleaved).value();
        const PatchRows chw = image_to_patches(image, side, PatchOrder::planar).value();
        REQUIRE(hwc.values_per_row == size_t{3} * side * side);
        REQUIRE(hwc.positions.size() == 6);
        size_t wrong = 0;
        for (size_t n = 0; n < 6; ++n) {
            for (size_t row = 0; row < side; ++row) {
                for (size_t column = 0; column < side; ++column) {
                    for (size_t c = 0; c < 3; ++c) {
                        const size_t y = n / 3 * side + row;
                        const size_t x = n % 3 * side + column;
                        const float want = static_cast<float>(image.rgb[(y * image.width + x) * 3 + c]) *
                                           static_cast<float>(0.00392156862745098);
                        const size_t base = n * hwc.values_per_row;
                        wrong += hwc.values[base + (row * side + column) * 3 + c] != want;
                        wrong += chw.values[base + c * side * side + row * side + column] != want;
                    }
                }
            }
        }
        CHECK(wrong == 0);
    }
}

TEST_CASE("image_to_patches: the floats of transformers' processor") {
    const auto& rows = processor_golden("resized");
    CHECK(rows.size() == 31);
    for (const auto& row : rows) {
        const Image picture = test_picture(row["width"], row["height"]);
        const Image resized = resize_image(picture, {row["target"][1], row["target"][0]}).value();
        const uint32_t side = 3 * row["patch_size"].get<uint32_t>();
        const PatchRows patches = image_to_patches(resized, side, PatchOrder::interleaved).value();
        CHECK(patches.positions.size() == row["soft_tokens"]);
        CHECK_MESSAGE(crc32_text(patches.values) == row["crc32_patches_f32"].get<std::string>(), row.dump());
    }
}

TEST_CASE("image_to_patches: positions are (column, row) in raster order") {
    const PatchRows patches = image_to_patches(test_picture(144, 96), 48, PatchOrder::interleaved).value();
    const std::vector<PatchPosition> want = {{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {2, 1}};
    CHECK(patches.positions == want);
}

TEST_CASE("image_to_patches: black is 0 and white is exactly 1") {
    const PatchRows patches = image_to_patches({1, 1, {0, 255, 1}}, 1, PatchOrder::interleaved).value();
    CHECK(patches.values == std::vector<float>{0.0f, 1.0f, 1.0f / 255.0f});
}

TEST_CASE("image_to_patches: sizes that do not divide are refused") {
    CHECK(image_to_patches(test_picture(49, 48), 48, PatchOrder::planar).error().code ==
          Errc::invalid_argument);
    CHECK(image_to_patches(test_picture(48, 40), 48, PatchOrder::planar).error().code ==
          Errc::invalid_argument);
    CHECK(image_to_patches(test_picture(4, 4), 0, PatchOrder::planar).error().code == Errc::invalid_argument);
    CHECK(image_to_patches({48, 48, {1, 2, 3}}, 48, PatchOrder::planar).error().code ==
          Errc::invalid_argument);
    CHECK(image_to_patches({}, 48, PatchOrder::planar).error().code == Errc::invalid_argument);
}

TEST_CASE("image_soft_tokens: counts of the table, and as many rows as image_to_patches makes") {
    CHECK(image_soft_tokens({640, 480}, 280).value() == 266);
    CHECK(image_soft_tokens({1920, 1080}, 1120).value() == 1100);
    CHECK(image_soft_tokens({8000, 100}, 560).value() == 422);
    CHECK(image_soft_tokens({77, 31}, 9, {2, 3}).value() ==
          image_to_patches(*resize_image(test_picture(77, 31), *target_size({77, 31}, 9, {2, 3})), 6,
                           PatchOrder::planar)
              ->positions.size());
    CHECK_FALSE(image_soft_tokens({0, 1}, 280).has_value());
}
