// What a device does whose shaders leave int8 images that are wrong; other verdicts are in trust_test.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/vulkan_device.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/vulkan_faults.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::ScratchFolder;
using test::VulkanFaults;

constexpr int64_t kK = 256;

// A step like a layer's on a device that tests its shaders: norm, keys, queries, attention, its output, gated and down.
struct Layer {
    explicit Layer(const VulkanFaults& faults, const std::filesystem::path& folder) {
        auto made = VulkanDevice::create(faults.context, {.cache_folder = folder});
        REQUIRE_MESSAGE(made, made.error().message);
        device = std::move(*made);
        std::mt19937 random(2);
        for (Placed& m : matrices) {
            auto host = allocate_host(static_cast<size_t>(kernels::row_bytes(Format::q4_0, kK * kK)));
            REQUIRE(host);
            for (size_t i = 0; i < (*host)->bytes; ++i) host_bytes(**host)[i] = static_cast<std::byte>(i % 18 == 0 ? 0 : i % 18 == 1 ? 0x2c : random());
            m = std::move(*device->place(view(*host, Format::q4_0, kK, kK), Use::matrix, {}));
        }
        for (Buffer& b : rows) b = *device->allocate(kK * 4, MemoryKind::readback);
        table.segments = {{*device->allocate(2 * kK * 4, MemoryKind::state), 1}};
    }
    std::vector<float> run() {
        const auto row = [&](size_t i) { return view(rows[i], Format::f32, 1, kK); };
        constexpr int32_t kPairs = kK / 2;
        REQUIRE(device->fill(rows[0], 0x3f800000));
        const StepShape shape{.columns = 1, .pairs = {kPairs, kPairs}, .widest = kK, .head_dim = kK};
        const auto recording = device->begin({.shape = shape, .weights = new_identity()}, {});
        REQUIRE(recording);
        const StepInputs& in = recording->inputs;
        in.position() = *in.first(KvClass::linear) = 0;
        *in.last(KvClass::linear) = in.kv(KvClass::linear).span_count = in.kv(KvClass::linear).store_count = 1;
        in.kv(KvClass::linear).spans[0] = in.kv(KvClass::linear).stores[0] = {0, 0, 0, 1};
        std::fill_n(in.cosine(KvClass::linear), kPairs, 1.0f);
        std::fill_n(in.sine(KvClass::linear), kPairs, 0.0f);
        const KvView kv{.table = &table, .kv_class = KvClass::linear, .format = KvFormat::f32, .kv_heads = 1, .dim = kK,
                        .row = {4 * kK, 4 * kK, 0, 0}};
        const auto multiply = [&](size_t matrix, const MatmulInput& x, size_t to) {
            const MatmulPart part{.weights = matrices[matrix].view, .out = row(to)};
            device->matmul({&part, 1}, x);
        };
        device->add_norm(row(0), row(0), row(0), 1e-6f, 1.0f);
        multiply(0, {row(0), row(0), 1e-6f, row(1)}, 2);
        device->norm_rope_store(row(2), row(2), row(0), 1e-6f, kv);
        device->attention(row(2), kv, row(3));
        multiply(1, row(3), 4);
        device->gated_matmul(matrices[2].view, matrices[3].view, {row(4), row(0), 1e-6f, row(1)}, row(5), row(6), {});
        multiply(4, row(6), 7);
        device->end();
        const auto done = device->wait(device->submit());
        REQUIRE_MESSAGE(done, done.error().message);
        const auto* bytes = device->read(row(7));
        REQUIRE(bytes);
        std::vector<float> out(kK);
        std::memcpy(out.data(), bytes, kK * 4);
        return out;
    }

    std::unique_ptr<VulkanDevice> device;
    std::array<Placed, 5> matrices;
    std::array<Buffer, 8> rows;
    KvTable table{1, {}};
};

TEST_CASE("trust: who leaves a wrong int8 image leaves none, the results are the same, and the next device knows") {
    struct Case {
        const char* shader;
        const char* test;
        int64_t more;  // dispatches, which make the image instead
    };
    std::vector<float> right;
    int64_t dispatches = 0;
    for (const Case& c : {Case{"", "", 0}, Case{"attention_merge", "attention image f32 1/1x256 w0 p1275 t1", 1},
                          Case{"matvec_q4_0_dot", "matvec_q4_0_dot 64x1 gated image k256 t1", 1},
                          Case{"add_norm_image", "norms image 256 t1", 2}, Case{"rms_norm_image", "norms image 256 t1", 2}}) {
        CAPTURE(std::string(c.shader));
        const ScratchFolder folder;
        for (const bool wrong : {true, false}) {
            VulkanFaults faults;
            if (wrong && *c.shader) faults.shaders = {{c.shader, test::spoil_image}};
            Layer layer(faults, folder.path());
            REQUIRE(layer.device->products().leaves_images());  // or this test has nothing to take away
            const auto got = layer.run();
            if (!*c.shader && wrong) {
                right = got;
                dispatches = layer.device->counts().dispatches;
            }
            double largest = 0, off = 0;
            for (size_t i = 0; i < got.size(); ++i) {
                largest = std::max(largest, std::fabs(double{right[i]}));
                off = std::max(off, std::fabs(double{got[i]} - right[i]));
            }
            CHECK(off <= largest / 20);  // norms that leave no image sum in another order, and some values are rounded otherwise
            CHECK(largest > 0);
            CHECK(layer.device->counts().dispatches == dispatches + c.more);
            const auto failed = layer.device->verdicts()->failed();
            REQUIRE(failed.size() == (*c.shader ? 1 : 0));
            if (*c.shader) CHECK(failed[0].first == c.test);
            if (*c.shader) CHECK(failed[0].second.reason.find("the product behind: column 0, value ") == 0);
        }
    }
}

}  // namespace
