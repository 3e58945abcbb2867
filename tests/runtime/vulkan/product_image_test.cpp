// The int8 image of rows.
#include "runtime/vulkan/product_image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/kernels/fixtures.h"
#include "tests/support/check_close.h"
#include "tests/support/vulkan_rig.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::VulkanRig;

struct Image {
    std::vector<int8_t> q;      // [T][K]
    std::vector<float> scales;  // [T][K/256]
};

// Of rows [T][stride], K values each.
Image image_of(const std::vector<float>& x, int64_t columns, int64_t k, int64_t stride) {
    auto& rig = VulkanRig::get();
    const auto rows = rig.upload(x), image = rig.poisoned(product_image_bytes(columns, k));
    const TensorView in = {rows.get(), 0, Format::f32, columns, k, stride * 4};
    rig.run(std::vector<Dispatch>{quantize_rows(in, range_of(*image, 0, image->bytes))});
    const auto bytes = rig.download<int8_t>(*image);
    Image out{{bytes.begin(), bytes.begin() + columns * k}, std::vector<float>(static_cast<size_t>(columns * k / 256))};
    std::memcpy(out.scales.data(), bytes.data() + columns * k, out.scales.size() * 4);
    return out;
}

// What keeps |x - q s| small for every value. Vulkan allows a division 2.5 ulp: s = max / 127 and x / s, which is at most
// 127, may each be off by 5 roundoffs.
std::string too_far(const Image& image, const std::vector<float>& x, int64_t columns, int64_t k, int64_t stride, double half) {
    for (int64_t t = 0; t < columns; ++t)
        for (int64_t i = 0; i < k; ++i) {
            const double value = x[t * stride + i], s = image.scales[t * (k / 256) + i / 256];
            const double off = std::abs(value - image.q[t * k + i] * s);
            if (!(off <= s * (half + 127 * 10 * test::kUnitRoundoff))) return "column " + std::to_string(t) + ", value " + std::to_string(i);
        }
    return {};
}

TEST_CASE("products: quantised rows are as near as int8 allows") {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (const auto [columns, k, stride] : {std::array<int64_t, 3>{1, 256, 256}, {3, 1280, 1300}}) {
        std::vector<float> x(static_cast<size_t>(columns * stride));
        for (float& v : x) v = normal(random);
        const Image image = image_of(x, columns, k, stride);
        for (int64_t t = 0; t < columns; ++t)
            for (int64_t g = 0; g < k / 256; ++g) {
                double largest = 0;
                for (int64_t i = 0; i < 256; ++i) largest = std::max<double>(largest, std::abs(x[t * stride + g * 256 + i]));
                CHECK(std::abs(image.scales[t * (k / 256) + g] - largest / 127) <= largest / 127 * 5 * test::kUnitRoundoff);
            }
        CHECK(too_far(image, x, columns, k, stride, 0.5) == "");
        CHECK(too_far(image, x, columns, k, stride, 0.4) != "");
    }
}

TEST_CASE("products: groups without a usable scale are zero, and bad values stay visible") {
    std::vector<float> x(5 * 256, 0.0f);
    for (int i = 0; i < 256; ++i) x[i] = static_cast<float>(i % 255 - 127);  // q = x: s is 1
    x[256 + 7] = 1e-39f;  // s is no normal number
    x[512 + 9] = std::numeric_limits<float>::infinity();
    x[512 + 8] = 1;
    x[768 + 200] = std::numeric_limits<float>::quiet_NaN();
    const Image image = image_of(x, 1, 5 * 256, 5 * 256);
    for (int i = 0; i < 256; ++i) CHECK(image.q[i] == static_cast<int8_t>(x[i]));
    CHECK(std::all_of(image.q.begin() + 256, image.q.end(), [](int8_t q) { return q == 0; }));
    CHECK(image.scales[0] == 1.0f);
    CHECK(image.scales[1] == 0.0f);
    CHECK(std::isinf(image.scales[2]));
    CHECK(std::isnan(image.scales[3]));
    CHECK(image.scales[4] == 0.0f);
}

}  // namespace
