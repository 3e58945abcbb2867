// Operations of the Vulkan device beside the scalar reference: those on rows here, products, attention and scores in files of
// their own.
#include "tests/support/vulkan_pair.h"

using namespace lapidary;
namespace {

using namespace runtime;
using test::check_near;
using test::VulkanPair;

constexpr double kEpsilon = 6e-8;  // half a unit of the last place of f32, relative

// A sum of n squares in f32, each thread its own and then a tree: its relative error, and with it that of a norm.
double norm_error(int64_t n) { return (static_cast<double>(n) / 256 + 16) * kEpsilon; }

TEST_CASE("vulkan: rms norm with and without weights") {
    VulkanPair pair;
    for (const int64_t n : {16, 255, 256, 640, 3840}) {
        const auto x = pair.random(3, n, 1), w = pair.random(1, n, 2), out = pair.poisoned(3, n), bare = pair.poisoned(3, n);
        pair.run({.shape = {.columns = 3}}, {}, [&](Device& d, bool g) {
            d.rms_norm(g ? x.gpu : x.cpu, g ? w.gpu : w.cpu, 1e-6f, g ? out.gpu : out.cpu);
            d.rms_norm(g ? x.gpu : x.cpu, {}, 1e-6f, g ? bare.gpu : bare.cpu);
        });
        check_near(pair.read_gpu(out), pair.read_cpu(out), norm_error(n));
        check_near(pair.read_gpu(bare), pair.read_cpu(bare), norm_error(n));
    }
}

// A patch of a flat picture: the variance is next to nothing beside the mean, and eps makes noise of what is wrong in it.
TEST_CASE("vulkan: layer norm of rows with almost no variance") {
    VulkanPair pair;
    for (const int64_t n : {48, 257, 6912}) {
        std::vector<float> values = VulkanPair::random_values(2 * n, 3, 1e-5f);
        for (int64_t i = 0; i < n; ++i) values[static_cast<size_t>(i)] += 0.73f;
        const auto x = pair.rows(2, n, values);
        const auto w = pair.random(1, n, 4), b = pair.random(1, n, 5), out = pair.poisoned(2, n);
        pair.run({.shape = {.columns = 2}}, {}, [&](Device& d, bool g) {
            d.layer_norm(g ? x.gpu : x.cpu, g ? w.gpu : w.cpu, g ? b.gpu : b.cpu, 1e-5f, g ? out.gpu : out.cpu);
        });
        // x - mean is exact, as both are near; what is left of the mean is rounded once, and its sum in f32, all of the size
        // of the deviations: 316, which is 1 / sqrt(eps), times 1e-5 of them.
        check_near(pair.read_gpu(out), pair.read_cpu(out), 2 * norm_error(n), 8 * norm_error(n) * 316 * 4e-5);
    }
}

TEST_CASE("vulkan: a residual with the norm behind it is one dispatch, and the same without") {
    VulkanPair pair;
    const int64_t n = 512;
    const auto x = pair.random(2, n, 6), y = pair.random(2, n, 7), w = pair.random(1, n, 8), next = pair.random(1, n, 9);
    const auto normed = pair.poisoned(2, n), gate = pair.random(32, n, 10), out = pair.poisoned(2, 32);
    const auto before = VulkanPair::random_values(2 * n, 6);
    const auto note = [&](Device& d, bool g) {
        d.add_norm(g ? x.gpu : x.cpu, g ? y.gpu : y.cpu, g ? w.gpu : w.cpu, 1e-6f, 0.5f);
        const MatmulPart part{.weights = g ? gate.gpu : gate.cpu, .out = g ? out.gpu : out.cpu};
        d.matmul({&part, 1}, {g ? x.gpu : x.cpu, g ? next.gpu : next.cpu, 1e-6f, g ? normed.gpu : normed.cpu});
    };
    pair.run({.shape = {.columns = 2, .widest = 512}, .weights = 1}, {}, note);
    CHECK(pair.gpu->counts().dispatches == 2);
    check_near(pair.read_gpu(x), pair.read_cpu(x), 4 * norm_error(n), 4 * kEpsilon);
    check_near(pair.read_gpu(normed), pair.read_cpu(normed), 8 * norm_error(n), 8 * kEpsilon);
    double largest = 0;
    for (const float v : pair.read_cpu(out)) largest = std::max(largest, std::fabs(double{v}));
    check_near(pair.read_gpu(out), pair.read_cpu(out), 0, 40 * norm_error(n) * largest);
    pair.set(x, before);
    pair.run({.shape = {.columns = 2, .widest = 512}, .weights = 1}, {}, note);  // a replay
    CHECK(pair.gpu->counts().replays == 1);
    check_near(pair.read_gpu(x), pair.read_cpu(x), 4 * norm_error(n), 4 * kEpsilon);
}

TEST_CASE("vulkan: add and soft cap") {
    VulkanPair pair;
    const auto x = pair.random(3, 331, 11, 40.0f), y = pair.random(3, 331, 12, 40.0f);
    pair.run({.shape = {.columns = 3}}, {}, [&](Device& d, bool g) {
        d.add(g ? x.gpu : x.cpu, g ? y.gpu : y.cpu);
        d.soft_cap(g ? x.gpu : x.cpu, 30.0f);
    });
    // A GPU's tanh is the quotient of two exponentials of 3 + 2 |x| ulp (Vulkan, precision of SPIR-V instructions).
    check_near(pair.read_gpu(x), pair.read_cpu(x), 200 * kEpsilon, 30 * 20 * kEpsilon);
}

TEST_CASE("vulkan: the host's rows, of all columns or where there is no id, a replay reads the new ones") {
    VulkanPair pair;
    const auto out = pair.random(4, 24, 13), some = pair.random(4, 24, 14);
    for (const unsigned seed : {15u, 16u}) {
        const auto values = VulkanPair::random_values(4 * 40, seed);
        pair.run({.shape = {.columns = 4, .row_width = 40}, .weights = 1},
                 [&](const StepInputs& in) {
                     std::copy(values.begin(), values.end(), in.rows());
                     const int32_t ids[] = {5, -1, static_cast<int32_t>(seed) - 16, -1};
                     std::copy(std::begin(ids), std::end(ids), in.ids());
                 },
                 [&](Device& d, bool g) {
                     d.input_rows(Device::Rows::all, g ? out.gpu : out.cpu, 16);
                     d.input_rows(Device::Rows::without_id, g ? some.gpu : some.cpu, 0);
                 });
        CHECK(pair.read_gpu(out) == pair.read_cpu(out));
        CHECK(pair.read_gpu(some) == pair.read_cpu(some));
    }
    CHECK(pair.gpu->counts().replays == 1);
}

// Bytes of any bits are blocks of any format, once their scales are finite.
std::vector<std::byte> random_blocks(Format f, int64_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> out(static_cast<size_t>(kernels::row_bytes(f, count)));
    for (auto& b : out) b = static_cast<std::byte>(random());
    const auto block = static_cast<size_t>(kernels::block_bytes(f));
    const auto scales = [&]() -> std::vector<size_t> {  // their high bytes
        switch (f) {
            case Format::f32: return {3};
            case Format::f16: case Format::bf16: return {1};
            case Format::q4_1: case Format::q5_1: case Format::q4_k: case Format::q5_k: return {1, 3};
            case Format::q2_k: return {81, 83};
            case Format::q3_k: return {109};
            case Format::q6_k: return {209};
            default: return {1};
        }
    }();
    for (size_t at = 0; at < out.size(); at += block)
        for (const size_t s : scales) out[at + s] &= std::byte{0xbb};  // no exponent of all ones
    return out;
}

TEST_CASE("vulkan: rows of the embedding, of every format in blocks and in panels") {
    for (const bool precise : {true, false}) {
        VulkanPair pair({.precise = precise, .self_test = false});
        for (int i = 0; i < kernels::kFormats; ++i) {
            const auto format = static_cast<Format>(i);
            CAPTURE(kernels::name(format));
            const int64_t rows = 37, cols = 512;
            auto host = allocate_host(random_blocks(format, rows * cols, 17).size());
            REQUIRE(host);
            const auto bytes = random_blocks(format, rows * cols, 17);
            std::memcpy(host_bytes(**host), bytes.data(), bytes.size());
            const TensorView table = view(*host, format, rows, cols);
            const auto placed = pair.gpu->place(table, Use::embedding, {});
            REQUIRE_MESSAGE(placed, placed.error().message);
            const auto out = pair.random(4, cols, 18);
            pair.run({.shape = {.columns = 4}},
                     [&](const StepInputs& in) {
                         const int32_t ids[] = {0, 36, -1, 17};
                         std::copy(std::begin(ids), std::end(ids), in.ids());
                     },
                     [&](Device& d, bool g) { d.embed_rows(g ? placed->view : table, Entry::ids, 3.0f, g ? out.gpu : out.cpu); });
            // One rounding of the scale, one of the product, one of the minimum.
            double largest = 0;
            for (const float v : pair.read_cpu(out)) largest = std::max(largest, std::fabs(double{v}));
            check_near(pair.read_gpu(out), pair.read_cpu(out), 4 * kEpsilon, 4 * kEpsilon * largest);
        }
    }
}

}  // namespace
