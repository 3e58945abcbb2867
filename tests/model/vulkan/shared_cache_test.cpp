// One cache of keys and values on which a Vulkan device and the CPU take turns: whoever computed the past, the scores are
// those of the CPU alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/engine_state.h"
#include "model/load/place.h"
#include "runtime/memory/host_access.h"
#include "tests/support/goldens.h"
#include "tests/support/vulkan_pair.h"

using namespace lapidary;
using namespace lapidary::test;
using Format = runtime::KvFormat;
using runtime::MemoryKind;

namespace {

constexpr double kTolerance = 1e-4;  // of the logit range, as in forward_test.cpp
// Prompts longer than the ring's slack go by the scratch, shorter steps straight into the ring, which is crossed.
constexpr int32_t kSteps[] = {48, 40, 33, 1, 1, 5, 1, 16, 1, 1};
constexpr const char* kCpuAlone = "cccccccccc";

using Scored = std::vector<std::vector<float>>;

class TwoDevices {
  public:
    explicit TwoDevices(const std::filesystem::path& model) : loaded(unwrap(model::load_model({.model = model}))) {
        for (Side* side : {&cpu_, &gpu_}) {
            const auto layers = static_cast<int32_t>(loaded.config.layers.size());
            side->weights = unwrap(model::place_weights(loaded.weights, {.last = layers, .again = true}, side->device, {}));
        }
    }

    model::KvCache cache(bool on_gpu, Format format, MemoryKind kind) {
        return unwrap(model::KvCache::create((on_gpu ? gpu_ : cpu_).device, loaded.config, 0,
                                             static_cast<int32_t>(loaded.config.layers.size()), format, 256, kind));
    }
    // Scores of every token, one step for each letter: c on the CPU, g on the GPU, . for one that is in the cache already.
    // `between` is called before each.
    Scored run(model::KvCache& kv, const std::string& who, const std::function<void(size_t step)>& between = {}) {
        Scored rows;
        int32_t position = 0;
        for (size_t i = 0; i < who.size(); ++i) {
            if (between) between(i);
            if (who[i] == '.') {
                position += kSteps[i];
                continue;
            }
            Side& side = who[i] == 'g' ? gpu_ : cpu_;
            std::vector<int32_t> ids;
            for (int32_t t = position; t < position + kSteps[i]; ++t) ids.push_back(3 + t * t % (loaded.config.vocab - 3));
            unwrap(side.ws.reserve(side.device, loaded.config, kSteps[0]));
            unwrap(kv.reserve(position, position + kSteps[i]));
            unwrap(kv.reserve_scratch(side.ws.kv, kSteps[i]));
            const model::Stage stage{side.device, {loaded.config, side.weights}, kv, side.ws, 0,
                                     static_cast<int32_t>(loaded.config.layers.size())};
            const model::Step step{.position = position, .ids = ids, .rows_wanted = kSteps[i]};
            unwrap(model::forward({&stage, 1}, step, {}, {}, [&](int32_t, const model::Scores& scores) -> Result<bool> {
                const auto row = unwrap(scores.all());
                rows.emplace_back(row.begin(), row.end());
                return true;
            }));
            position += kSteps[i];
        }
        return rows;
    }

    model::LoadedModel loaded;

  private:
    struct Side {
        runtime::Device& device;
        model::Weights weights = {};
        model::Workspace ws = {};
    };
    VulkanPair devices_;
    Side cpu_{devices_.cpu}, gpu_{*devices_.gpu};
};

double distance(const Scored& got, const Scored& want) {
    REQUIRE(got.size() == want.size());
    double worst = 0;
    for (size_t i = 0; i < got.size(); ++i)
        worst = std::max(worst, range_error(got[i].data(), want[i].data(), static_cast<int64_t>(want[i].size())));
    return worst;
}

// The ring of all sliding layers.
runtime::BufferData& ring(const model::KvCache& kv) { return *kv.layer(0, 1, {}).segment(0).buffer; }

}  // namespace

TEST_CASE("shared cache: what one device stored the other one reads, in both directions and in turns") {
    TwoDevices devices(kData / "goldens/five_layers");
    model::KvCache alone = devices.cache(false, Format::f32, MemoryKind::state);
    const Scored want = devices.run(alone, kCpuAlone);
    for (const char* who : {"gggccccccc", "cccggggggg", "gcgcgcgcgc", "cgcgcgcgcg"}) {
        CAPTURE(std::string(who));
        model::KvCache shared = devices.cache(true, Format::f32, MemoryKind::shared);
        CHECK(distance(devices.run(shared, who), want) <= kTolerance);
    }
}

// A value that the two devices compute a little differently may be stored as the next one that the format has: off by 2^-10 of
// itself in f16, by a 127th of the greatest of its block in q8_0.
TEST_CASE("shared cache: in every format, and a fork, whose rows the GPU copies") {
    TwoDevices devices(kData / "goldens/full_first");
    for (const auto& stored : {std::pair{Format::f32, 0.0}, {Format::f16, 0x1p-10}, {Format::q8_0, 1.0 / 127}}) {
        const Format format = stored.first;
        CAPTURE(static_cast<int>(format));
        model::KvCache alone = devices.cache(false, format, MemoryKind::state);
        const Scored want = devices.run(alone, kCpuAlone);
        for (const char* who : {"ggg", "ccc"}) {
            model::KvCache shared = devices.cache(true, format, MemoryKind::shared);
            Scored got = devices.run(shared, who);
            model::KvCache fork = unwrap(shared.fork(static_cast<int32_t>(got.size())));
            const Scored rest = devices.run(fork, who[0] == 'g' ? "...ccccccc" : "...ggggggg");
            got.insert(got.end(), rest.begin(), rest.end());
            CHECK(distance(got, want) <= kTolerance + stored.second);
        }
    }
}

// What a cache does not hold must show, or the tests above prove nothing.
TEST_CASE("shared cache: negative controls, and memory that is not shared has no address") {
    TwoDevices devices(kData / "goldens/five_layers");
    model::KvCache alone = devices.cache(false, Format::f32, MemoryKind::state);
    const Scored want = devices.run(alone, kCpuAlone);
    for (const char* who : {"gggccccccc", "cccggggggg"}) {
        model::KvCache shared = devices.cache(true, Format::f32, MemoryKind::shared);
        REQUIRE(runtime::host_bytes(ring(shared)) != nullptr);
        const Scored got = devices.run(shared, who, [&](size_t step) {
            if (step == 3) std::fill_n(runtime::host_bytes(ring(shared)), ring(shared).bytes, std::byte{0});
        });
        CHECK(distance(got, want) > 100 * kTolerance);
    }
    const model::KvCache own = devices.cache(true, Format::f32, MemoryKind::state);
    CHECK(runtime::host_bytes(ring(own)) == nullptr);
}
