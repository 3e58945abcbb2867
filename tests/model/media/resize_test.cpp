// Target sizes against the tables of the specification, transformers' public unit tests and its processor;
// resized bytes against checksums of what that processor makes.
#include "model/media/resize.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/media/placeholders.h"
#include "tests/model/media/support.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

// Height first, as the tables have it.
ImageSize high_wide(uint32_t height, uint32_t width) { return {width, height}; }

ImageSize target(ImageSize source, uint32_t budget_tokens) {
    const auto size = target_size(source, budget_tokens);
    REQUIRE(size.has_value());
    return *size;
}

}  // namespace

TEST_CASE("target_size: the table of all budgets") {
    struct Row {
        std::vector<ImageSize> sources;
        ImageSize targets[5];
    };
    const Row rows[] = {
        {{high_wide(480, 640), high_wide(3024, 4032)},
         {high_wide(336, 432), high_wide(480, 624), high_wide(672, 912), high_wide(960, 1296),
          high_wide(1344, 1824)}},
        {{high_wide(1080, 1920), high_wide(720, 1280)},
         {high_wide(288, 528), high_wide(384, 720), high_wide(576, 1056), high_wide(816, 1488),
          high_wide(1200, 2112)}},
        {{high_wide(1, 1), high_wide(512, 512), high_wide(1024, 1024), high_wide(2999, 2999)},
         {high_wide(384, 384), high_wide(528, 528), high_wide(768, 768), high_wide(1104, 1104),
          high_wide(1584, 1584)}},
        {{high_wide(3508, 2480)},
         {high_wide(432, 336), high_wide(672, 432), high_wide(912, 672), high_wide(1344, 912),
          high_wide(1872, 1344)}},
        {{high_wide(1000, 3000)},
         {high_wide(192, 672), high_wide(288, 960), high_wide(432, 1344), high_wide(624, 1920),
          high_wide(912, 2736)}},
        {{high_wide(100, 8000)},
         {high_wide(48, 3360), high_wide(48, 5040), high_wide(48, 7152), high_wide(96, 10128),
          high_wide(144, 14352)}},
    };
    for (const Row& row : rows) {
        for (const ImageSize source : row.sources) {
            for (size_t i = 0; i < 5; ++i) CHECK(target(source, kImageBudgetsTokens[i]) == row.targets[i]);
        }
    }
}

TEST_CASE("target_size: exact ratios, where the last bit of a double decides") {
    CHECK(target(high_wide(672, 960), 280) == high_wide(672, 960));
    CHECK(target(high_wide(340, 952), 280) == high_wide(432, 1296));
    CHECK(target(high_wide(440, 1232), 280) == high_wide(432, 1344));
    CHECK(target(high_wide(260, 182), 280) == high_wide(960, 672));
    CHECK(target(high_wide(440, 616), 140) == high_wide(432, 672));
    CHECK(target(high_wide(340, 476), 140) == high_wide(432, 624));
}

TEST_CASE("target_size_for_patches: the values of transformers' unit tests") {
    struct Row {
        uint32_t patch, max_patches, pool;
        ImageSize source, target;
    };
    const Row rows[] = {
        {16, 256, 1, high_wide(256, 256), high_wide(256, 256)},
        {16, 256, 1, high_wide(512, 512), high_wide(256, 256)},
        {10, 200, 1, high_wide(50, 10000), high_wide(10, 2000)},
        {10, 200, 1, high_wide(25, 10000), high_wide(10, 2000)},
        {10, 200, 1, high_wide(25, 20000), high_wide(10, 2000)},
        {16, 2304, 6, high_wide(2785, 34), high_wide(6144, 96)},
        {4, 64, 2, high_wide(50, 1000), high_wide(8, 128)},
        {5, 100, 3, high_wide(100, 100), high_wide(45, 45)},
        {5, 20, 3, high_wide(5, 100), high_wide(15, 30)},
    };
    for (const Row& row : rows) {
        const auto size = target_size_for_patches(row.source, row.max_patches, {row.patch, row.pool});
        REQUIRE(size.has_value());
        CHECK(*size == row.target);
    }
}

TEST_CASE("target_size: never beyond the budget, always whole patches") {
    for (const uint32_t budget : {1u, 7u, 70u, 1120u}) {
        for (uint32_t width = 1; width <= 4000; width = width * 2 + 1) {
            for (uint32_t height = 1; height <= 4000; height = height * 3 + 1) {
                const ImageSize size = target({width, height}, budget);
                CHECK(size.width % 48 == 0);
                CHECK(size.height % 48 == 0);
                CHECK(size.width / 48 * (size.height / 48) >= 1);
                CHECK(size.width / 48 * (size.height / 48) <= budget);
            }
        }
    }
}

TEST_CASE("target_size: nonsense is refused with the numbers") {
    CHECK(target_size({0, 5}, 280).error().code == Errc::invalid_argument);
    CHECK(target_size({5, 5}, 0).error().code == Errc::invalid_argument);
    CHECK(target_size({5, 5}, 280, {0, 3}).error().code == Errc::invalid_argument);
    CHECK(target_size({5, 5}, 280, {16, 0}).error().code == Errc::invalid_argument);
    CHECK(target_size({5, 5}, 4000000000u).error().code == Errc::invalid_argument);
    CHECK(target_size({65535, 65535}, 280).error().message.find("65535x65535") != std::string::npos);
    // 4 patches of which 9 make one soft token: both sides round down to nothing.
    CHECK(target_size_for_patches({20, 20}, 4).error().code == Errc::media_unsupported);
}

TEST_CASE("target_size: every size and budget as transformers has it") {
    const auto& rows = processor_golden("targets");
    CHECK(rows.size() == 45);
    for (const auto& row : rows) {
        const ImageSize source = high_wide(row["height"], row["width"]);
        for (const uint32_t budget : kImageBudgetsTokens) {
            const auto& want = row["targets"][std::to_string(budget)];
            CHECK(target(source, budget) == high_wide(want[0], want[1]));
            const uint32_t tokens = want[0].get<uint32_t>() / 48 * (want[1].get<uint32_t>() / 48);
            CHECK(image_soft_tokens(source, budget).value() == tokens);
        }
    }
}

TEST_CASE("resize_image: the bytes of transformers' processor") {
    const auto& rows = processor_golden("resized");
    CHECK(rows.size() == 31);
    for (const auto& row : rows) {
        const PatchGeometry geometry{row["patch_size"], 3};
        const ImageSize source = high_wide(row["height"], row["width"]);
        const ImageSize size = target_size(source, row["budget"], geometry).value();
        CHECK(size == high_wide(row["target"][0], row["target"][1]));
        CHECK(image_soft_tokens(source, row["budget"], geometry).value() == row["soft_tokens"]);
        const Image out = resize_image(test_picture(source.width, source.height), size).value();
        CHECK_MESSAGE(crc32_text(out.rgb) == row["crc32_rgb_u8"].get<std::string>(), row.dump());
    }
}

TEST_CASE("resize_image: one axis, both axes, none") {
    const Image picture = test_picture(50, 40);
    CHECK(resize_image(picture, {50, 40})->rgb == picture.rgb);
    const Image wide = *resize_image(picture, {96, 40});
    const Image both = *resize_image(picture, {96, 17});
    CHECK(resize_image(wide, {96, 17})->rgb == both.rgb);
    CHECK(resize_image(picture, {50, 17})->height == 17);
}

TEST_CASE("resize_image: a flat picture stays flat, however it is scaled") {
    for (const ImageSize source : {ImageSize{1, 1}, ImageSize{33, 70}, ImageSize{700, 3}}) {
        const Image flat{source.width, source.height,
                         std::vector<uint8_t>(size_t{3} * source.width * source.height, 200)};
        for (const ImageSize size : {ImageSize{48, 144}, ImageSize{5, 1}}) {
            const auto out = resize_image(flat, size);
            CHECK(out->rgb == std::vector<uint8_t>(size_t{3} * size.width * size.height, 200));
        }
    }
}

TEST_CASE("resize_image: inconsistent pictures and empty or enormous targets are refused") {
    const Image picture = test_picture(4, 4);
    CHECK(resize_image(picture, {0, 4}).error().code == Errc::invalid_argument);
    CHECK(resize_image(picture, {1u << 20, 1u << 20}).error().code == Errc::invalid_argument);
    // Small at both ends, but the picture between the passes would have 2^17 x 2^12 = 2^29 pixels.
    const Image high{1, 1u << 17, std::vector<uint8_t>(size_t{3} << 17)};
    CHECK(resize_image(high, {1u << 12, 1}).error().code == Errc::invalid_argument);
    const Image line{1, kMaxImageSide + 1, std::vector<uint8_t>(size_t{3} * (kMaxImageSide + 1))};
    CHECK(resize_image(line, {48, 48}).error().code == Errc::invalid_argument);
    CHECK(resize_image({5, 4, picture.rgb}, {8, 8}).error().code == Errc::invalid_argument);
    CHECK(resize_image({}, {8, 8}).error().code == Errc::invalid_argument);
}
