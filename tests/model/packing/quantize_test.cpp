// Quantisers against the blocks of llama.cpp's quantiser in the peer files: q4_0 and q8_0 bit for bit, the K
// formats with no larger error.
#include "model/packing/quantize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/half.h"
#include "kernels/select.h"
#include "runtime/file/gguf.h"
#include "runtime/memory/host_access.h"
#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::model;
using namespace lapidary::test;

namespace {

std::vector<float> expanded(Format format, const std::byte* blocks, int64_t count) {
    std::vector<float> out(static_cast<size_t>(count));
    kernels::select("ref", nullptr)->expand[static_cast<size_t>(format)](blocks, count, out.data());
    return out;
}

std::vector<float> there_and_back(Format format, const std::vector<float>& x) {
    const auto count = static_cast<int64_t>(x.size());
    std::vector<std::byte> blocks(static_cast<size_t>(kernels::row_bytes(format, count)));
    quantise_row(format, x.data(), count, blocks.data());
    return expanded(format, blocks.data(), count);
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += std::pow(double{a[i]} - b[i], 2);
    return sum;
}

struct Compared {
    int same = 0, different = 0;
    double worst_ratio = 0;  // of root mean squared errors, ours over theirs, of one tensor
};

// Every tensor of this format in the peer's file, quantised again from the file it was made of.
Compared compare_with_peer(const std::string& file, Format format) {
    const auto source = unwrap(runtime::open_gguf(kData / "peer/quant3-f16.gguf"));
    const auto peer = unwrap(runtime::open_gguf(kData / ("peer/quant3-" + file + ".gguf")));
    Compared out;
    for (const auto& theirs : peer.tensors) {
        if (theirs.format != format) continue;
        const auto* from = source.find_tensor(theirs.name);
        REQUIRE(from);
        int64_t count = 1;
        for (const int64_t extent : theirs.shape) count *= extent;
        const auto x = expanded(from->format, host_bytes(*source.parts[0].buffer) + from->offset, count);
        std::vector<std::byte> ours(theirs.bytes);
        quantise_row(format, x.data(), count, ours.data());
        const std::byte* their_blocks = host_bytes(*peer.parts[0].buffer) + theirs.offset;
        (std::memcmp(ours.data(), their_blocks, theirs.bytes) == 0 ? out.same : out.different)++;
        const double ratio = std::sqrt(squared_error(expanded(format, ours.data(), count), x) /
                                       squared_error(expanded(format, their_blocks, count), x));
        out.worst_ratio = std::max(out.worst_ratio, ratio);
    }
    return out;
}

constexpr Format kAll[] = {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::bf16, Format::f16};

}  // namespace

TEST_CASE("quantise: q4_0 and q8_0 are llama.cpp's blocks, bit for bit") {
    const Compared q4 = compare_with_peer("q4_0", Format::q4_0), q8 = compare_with_peer("q8_0", Format::q8_0);
    CHECK(q4.same == 20);  // every layer matrix; the embedding there is q6_k
    CHECK(q4.different == 0);
    CHECK(q8.same == 21);
    CHECK(q8.different == 0);
}

TEST_CASE("quantise: q4_k and q6_k err no more than llama.cpp's search, in any tensor") {
    const Compared q4 = compare_with_peer("q4_k_m", Format::q4_k),
                   q6 = compare_with_peer("q6_k", Format::q6_k);
    CHECK(q4.same + q4.different > 10);
    CHECK(q4.worst_ratio <= 1.0);
    CHECK(q6.same + q6.different == 21);
    CHECK(q6.worst_ratio <= 1.0);
}

TEST_CASE("quantise: halves round to the nearest, ties to even") {
    const std::vector<float> x = {1.0f, 1.00390625f, 1.01171875f, -1.00390625f, 3.3f, 0.0f, -0.0f, 65504.0f};
    CHECK(there_and_back(Format::bf16, x) ==
          std::vector<float>{1.0f, 1.0f, 1.015625f, -1.0f, 3.296875f, 0.0f, -0.0f, 65536.0f});
    CHECK(there_and_back(Format::f16, x) == std::vector<float>{1.0f, 1.00390625f, 1.01171875f, -1.00390625f,
                                                               3.30078125f, 0.0f, -0.0f, 65504.0f});
}

TEST_CASE("quantise: blocks of any size of values stay finite and near") {
    std::vector<float> x(512);
    for (const float size : {0.0f, 1e-45f, 1e-40f, 1e-30f, 1e-8f, 1e-3f, 1.0f, 1000.0f, kLargestQuantised})
        for (const int kind : {0, 1, 2, 3})
            for (const Format format : kAll) {
                CAPTURE(size);
                CAPTURE(kind);
                CAPTURE(kernels::name(format));
                for (size_t i = 0; i < x.size(); i++) {
                    const float wave = static_cast<float>(std::sin(0.7 * static_cast<double>(i)));
                    x[i] = size * (kind == 0   ? wave
                                   : kind == 1 ? std::fabs(wave)               // one sign
                                   : kind == 2 ? (i % 64 == 7 ? -1.0f : 0.0f)  // lonely values
                                               : 1.0f);                        // all equal
                }
                const auto y = there_and_back(format, x);
                // Half a step of the coarsest format (range / 15, with scales of 6 bits: / 12), and f16's
                // step where a scale is that small.
                for (size_t i = 0; i < x.size(); i++) {
                    REQUIRE(std::isfinite(y[i]));
                    REQUIRE(std::fabs(y[i] - x[i]) <= size / 6.0f + 2e-5f);
                }
            }
}

TEST_CASE("quantise: f32 stays as it is") {
    CHECK(there_and_back(Format::f32, {1.5f, -2.0f}) == std::vector<float>{1.5f, -2.0f});
}
