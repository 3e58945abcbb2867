// Whole models on a Vulkan device that is lost, so that the session goes on and says what the unbroken one says; and what
// engines make of such a device.
#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/try.h"
#include "lapidary/tools.h"
#include "model/session_state.h"
#include "runtime/vulkan/vulkan_device.h"
#include "tests/support/lossy_gpu.h"
#include "tests/support/open_engine.h"

using namespace lapidary;
using namespace lapidary::test;
namespace vulkan = runtime::vulkan;

namespace {

std::vector<Part> mixed() {
    const Goldens goldens("five_layers");
    for (const auto& c : goldens.json["cases"])
        if (c["name"] == "mixed") return Goldens::parts(c);
    FAIL("no such golden");
    return {};
}

struct Told {
    std::vector<std::string> notes;
    std::vector<int32_t> tokens;
    int64_t submits = 0;  // since the engine was open
    bool on_cpu = false;
};

// The device is lost at this submit of its steps; 0: never.
Told talk(const PartsMaker& parts, int64_t lost_at) {
    Told told;
    EngineOptions options;
    options.model = kData / "goldens/five_layers";
    options.threads = 2;
    options.context = 256;
    options.precise = true;
    options.research.prefill_chunk = 48;
    options.note = [&](std::string_view note) { told.notes.emplace_back(note); };
    const Engine engine = unwrap(open_on(options, parts));
    lose_gpu_at(lost_at);
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.raw(mixed()))));
    GenerateOptions greedy;
    greedy.sampling.temperature = 0.0f;
    greedy.ignore_eos = true;
    greedy.max_tokens = 4;
    told.tokens = unwrap(session.generate(greedy)).tokens;
    told.submits = gpu_submits();
    told.on_cpu = model::Access::state(engine).parts.front().gpu.empty();
    return told;
}

}  // namespace

TEST_CASE("gpu: after a loss its work comes in shorter pieces") {
    EngineOptions options;
    options.model = kData / "goldens/five_layers";
    options.device = name_of_gpu();
    options.cache_folder = "none";
    const auto loaded = unwrap(model::load_model(load_options(options)));
    const auto piece_seconds = [&](Attempt attempt) {
        const auto parts = unwrap(gpu_part(options, loaded, attempt));
        const auto& device = dynamic_cast<const vulkan::VulkanDevice&>(*parts[0].device);
        CHECK(parts[0].gpu == device.context().facts().name);
        return device.options().piece_seconds;
    };
    CHECK(piece_seconds(Attempt::first) == 0.1);
    CHECK(piece_seconds(Attempt::after_loss) == 0.02);
}

TEST_CASE("gpu: a queue without timestamps leaves the profile empty and says why") {
    for (const bool timestamps : {true, false}) {
        EngineOptions options;
        options.model = kData / "goldens/five_layers";
        options.threads = 1;
        options.context = 64;
        options.research.profile = true;
        const Engine engine = unwrap(open_on(options, [&](const auto& o, const auto& loaded, Attempt) -> Result<std::vector<model::DevicePart>> {
            LAP_ASSIGN(auto context, open_gpu(timestamps));
            return part_on(std::move(context), o, loaded);
        }));
        Session session = unwrap(engine.new_session());
        constexpr int32_t kIds[] = {2, 105, 9};
        unwrap(session.append(unwrap(engine.tokens(kIds))));
        all_rows(session);
        CHECK(profile(engine).empty() == !timestamps);
        const ModelInfo& info = engine.info();
        CHECK(info.untimed.empty() == timestamps);
        if (timestamps) continue;
        CHECK(info.untimed.find(info.gpu) != std::string::npos);
        REQUIRE(!info.notes.empty());
        CHECK(info.notes.back() == info.untimed);
    }
}

TEST_CASE("gpu: lost in a picture, in the prompt and in decoding, and once more") {
    const Told whole = talk(gpu_that_is_lost(1), 0), cpu = talk(cpu_part, 0);
    CHECK(whole.tokens == cpu.tokens);
    REQUIRE(whole.submits >= 6);
    for (const int64_t n : {int64_t{1}, whole.submits / 2, whole.submits - 1}) {
        CAPTURE(n);
        const Told once = talk(gpu_that_is_lost(1), n);
        CHECK(once.tokens == whole.tokens);
        CHECK(once.notes.size() == 1);
        CHECK(!once.on_cpu);
    }
    // The second device fails from its first submit on: where its memory is not the host's, while it gets its weights.
    const Told twice = talk([maker = gpu_that_is_lost(2), made = std::make_shared<int>(0)](const auto& options, const auto& loaded, Attempt attempt) {
        auto parts = maker(options, loaded, attempt);
        if ((*made)++ == 1) gpu_loss.at = 1;
        return parts;
    }, whole.submits / 2);
    CHECK(twice.tokens == whole.tokens);
    REQUIRE(!twice.notes.empty());
    CHECK(twice.notes.back().find("going on on the CPU") != std::string::npos);
    CHECK(twice.on_cpu);
}
