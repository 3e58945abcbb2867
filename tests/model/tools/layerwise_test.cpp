// The comparison layer by layer against the same two models run whole: every digit.
#include "model/tools/layerwise.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "kernels/select.h"
#include "model/tools/kl_stats.h"
#include "runtime/cpu/cpu_device.h"
#include "tests/support/goldens.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::test;
namespace fs = std::filesystem;

namespace {

const fs::path kPeer = kData / "peer";

std::vector<int32_t> token_ids() {
    auto ids = read_json(kPeer / "quants.json")["ids"].get<std::vector<int32_t>>();
    const auto once = ids;
    ids.insert(ids.end(), once.begin(), once.end());  // more than one block of head rows
    return ids;
}

std::vector<std::vector<float>> whole(const fs::path& path, const std::vector<int32_t>& ids) {
    const Engine engine = unwrap(Engine::open({.model = path, .threads = 2}));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.tokens(ids))));
    return all_rows(session);
}

Divergence layerwise(const fs::path& base, const fs::path& other, const std::vector<int32_t>& ids) {
    const auto a = unwrap(model::load_model({.model = base})),
               b = unwrap(model::load_model({.model = other}));
    const char* forced = std::getenv("LAPIDARY_CPU");  // as the engine does
    runtime::CpuDevice device(*kernels::select(forced ? forced : "", nullptr), 2, false);
    uint64_t last = 0, total = 0;
    const Divergence out =
        unwrap(model::layerwise_divergence(a, b, ids, device, [&](uint64_t done, uint64_t all) {
            CHECK(done > last);
            last = done;
            total = all;
            return true;
        }));
    CHECK(last == total);
    return out;
}

}  // namespace

TEST_CASE("layerwise: the figures of two whole models") {
    const auto ids = token_ids();
    const fs::path base = kPeer / "quant3-f16.gguf", other = kPeer / "quant3-q4_0.gguf";
    const auto a = whole(base, ids), b = whole(other, ids);
    model::KlStats stats;
    for (size_t t = 0; t < ids.size(); t++)
        unwrap(stats.add(a[t], b[t], t + 1 < ids.size() ? ids[t + 1] : -1));
    const Divergence expected = stats.figures(), got = layerwise(base, other, ids);
    CHECK(got.positions == ids.size());
    CHECK(got.targets == ids.size() - 1);
    CHECK(got.mean.value == expected.mean.value);
    CHECK(got.p99 == expected.p99);
    CHECK(got.max == expected.max);
    CHECK(got.same_top.value == expected.same_top.value);
    CHECK(got.perplexity.value == expected.perplexity.value);
    CHECK(got.mean.value > 1e-4);  // q4_0 does lose something
}

TEST_CASE("layerwise: pack with a text compares source and result, the same weights do not diverge") {
    const ScratchFolder folder;
    PackOptions options;
    options.model = kTiny;
    options.out = folder.path() / "a.lapidary";
    options.kld_text =
        folder.write("text.txt", "The tiny model knows a small closed world of shapes and digits.");
    options.kld_tokens = 20;
    options.threads = 2;
    const PackReport kept = unwrap(pack(options));
    REQUIRE(kept.compared);
    CHECK(kept.divergence.positions <= 20);
    CHECK(kept.divergence.positions > 5);
    CHECK(kept.divergence.mean.value == 0);
    CHECK(kept.divergence.same_top.value == 1);
    options.type = "q4_0";
    const PackReport quantised = unwrap(pack(options));
    CHECK(quantised.divergence.mean.value > 0);
    CHECK(quantised.divergence.mean.value < 2);
}

TEST_CASE("layerwise: stopped by its caller") {
    const auto a = unwrap(model::load_model({.model = kPeer / "quant3-q4_0.gguf"}));
    runtime::CpuDevice device(*kernels::select("ref", nullptr), 1, false);
    const auto stopped = model::layerwise_divergence(a, a, std::vector<int32_t>{2, 3, 4}, device,
                                                     [](uint64_t, uint64_t) { return false; });
    REQUIRE(!stopped);
    CHECK(stopped.error().code == Errc::cancelled);
}
