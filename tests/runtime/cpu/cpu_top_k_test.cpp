// The best scores of rows against a full sort: ties, masks, rows of NaN and infinities, any number of threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/select.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "tests/support/device_step.h"

using namespace lapidary::runtime;
using namespace lapidary::test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int32_t> sorted(const float* scores, int32_t vocab, const std::vector<uint32_t>& mask) {
    std::vector<int32_t> ids(static_cast<size_t>(vocab));
    std::iota(ids.begin(), ids.end(), 0);
    if (!mask.empty())
        std::erase_if(ids, [&](int32_t id) { return !(mask[static_cast<size_t>(id) / 32] >> (id % 32) & 1); });
    std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
        if (std::isnan(scores[a]) || std::isnan(scores[b])) return std::isnan(scores[a]) && !std::isnan(scores[b]);
        return scores[a] > scores[b];
    });
    return ids;
}

}  // namespace

TEST_CASE("top k: as a full stable sort, greatest first, equal ones by id, NaN before all") {
    constexpr int32_t kVocab = 40000, kRows = 3;
    for (const int threads : {1, 3}) {
        CpuDevice device(*lapidary::kernels::select("ref", nullptr), threads, true);
        const Buffer scores_buffer = allocate(device, kRows * kVocab * 4);
        const TensorView scores = view(scores_buffer, Format::f32, kRows, kVocab);
        uint32_t seed = 3;
        for (int32_t t = 0; t < kRows; ++t)
            for (int32_t i = 0; i < kVocab; ++i) {
                seed = seed * 1664525 + 1013904223;
                const auto value = static_cast<float>(static_cast<int32_t>(seed >> 8) % 500);  // many equal ones
                host_floats(scores, t)[i] = value == 0 ? (i % 2 ? 0.0f : -0.0f) : value;
            }
        host_floats(scores, 1)[39999] = std::nanf("");
        host_floats(scores, 1)[17] = -std::nanf("");
        host_floats(scores, 1)[5] = kInfinity;
        std::fill_n(host_floats(scores, 2), kVocab, -kInfinity);
        std::vector<uint32_t> mask((kVocab + 31) / 32, 0);
        for (const int32_t id : {39999, 3, 77, 20000, 5}) mask[static_cast<size_t>(id) / 32] |= 1u << (id % 32);
        for (const bool masked : {false, true})
            for (const int32_t k : {1, 2, 65, 700}) {
                const auto words = masked ? static_cast<int32_t>(mask.size()) : 0;
                const StepInputs in = begin_step(device, {.columns = kRows, .candidates = k, .mask_words = words});
                if (masked) std::copy(mask.begin(), mask.end(), in.mask());
                const Buffer out_buffer = allocate(device, kRows * k * 8);
                const TensorView out = view(out_buffer, Format::f32, kRows, 2 * k);
                device.top_k(scores, k, out);
                for (int32_t t = 0; t < kRows; ++t) {
                    const auto want = sorted(host_floats(scores, t), kVocab, masked ? mask : std::vector<uint32_t>());
                    const auto* got = reinterpret_cast<const Candidate*>(host_floats(out, t));
                    for (size_t i = 0; i < static_cast<size_t>(k); ++i) {
                        REQUIRE(got[i].id == (i < want.size() ? want[i] : -1));
                        if (got[i].id < 0) continue;
                        const float score = host_floats(scores, t)[got[i].id];
                        REQUIRE((got[i].score == score || std::isnan(score)));
                    }
                }
            }
    }
}
