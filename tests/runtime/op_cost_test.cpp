// What a recorder hears of operations: names, weights in their source format, visible rows of the cache.
#include "runtime/op_cost.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "kernels/select.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "runtime/trace/recorder.h"
#include "tests/support/device_step.h"

using namespace lapidary::runtime;
using namespace lapidary::test;

TEST_CASE("op cost: bytes, multiplications and names of its operations") {
    CpuDevice device(*lapidary::kernels::select("ref", nullptr), 2, true);
    Recorder recorder(1000);
    device.observe(&recorder);
    constexpr int32_t kT = 3;
    constexpr int64_t kK = 64, kR = 128;
    const auto buffer = [&](int64_t values) { return allocate(device, values * 4); };
    const Buffer w = buffer(kR * kK), x = buffer(kT * kK), y = buffer(kT * kR), z = buffer(kT * kR);
    std::fill_n(reinterpret_cast<float*>(host_bytes(*w)), kR * kK, 0.5f);
    std::fill_n(reinterpret_cast<float*>(host_bytes(*x)), kT * kK, 2.0f);
    const TensorView weights = view(w, Format::f32, kR, kK), in = view(x, Format::f32, kT, kK);
    const TensorView out = view(y, Format::f32, kT, kR), more = view(z, Format::f32, kT, kR);
    begin_step(device, {.columns = kT});
    device.layer("sliding", 0);
    const MatmulPart parts[] = {{.weights = weights, .out = out, .name = "gate"},
                                {.weights = weights, .out = more, .rows = {0, 64}, .name = "up"}};
    device.matmul(parts, in);
    device.add(out, more);
    CHECK(host_floats(out, 2)[0] == 128.0f);
    CHECK(host_floats(out, 2)[kR - 1] == 64.0f);
    const auto totals = recorder.totals();
    REQUIRE(totals.size() == 2);
    const auto product = std::find_if(totals.begin(), totals.end(), [](const auto& t) { return t.op == "matmul gate+up"; });
    REQUIRE(product != totals.end());
    CHECK(product->layer == "sliding");
    CHECK(product->bytes == (kR + 64) * kK * 4);
    CHECK(product->macs == (kR + 64) * kK * kT);
    CHECK(recorder.events() > 0);
}

TEST_CASE("op cost: attention counts the visible rows once and its products per token") {
    CpuDevice device(*lapidary::kernels::select("ref", nullptr), 1, true);
    Recorder recorder(0);
    device.observe(&recorder);
    constexpr int32_t kDim = 32, kHeads = 2, kRows = 8, kT = 2;
    const auto buffer = [&](int64_t values) { return allocate(device, values * 4); };
    const KvTable table{1, {{buffer(2 * kRows * kDim), kRows}}};
    KvView kv;
    kv.table = &table;
    kv.format = KvFormat::f32;
    kv.kv_heads = 1;
    kv.dim = kDim;
    kv.row = {kDim * 4, kDim * 4, 0, 0};
    const int32_t first[kT] = {1, 2}, last[kT] = {7, 8};
    const StepInputs in = begin_step(device, {.columns = kT, .head_dim = kDim});
    std::copy_n(first, kT, in.first(kv.kv_class));
    std::copy_n(last, kT, in.last(kv.kv_class));
    in.kv(kv.kv_class).spans[0] = {0, 0, 0, kRows};
    in.kv(kv.kv_class).span_count = 1;
    const Buffer q = buffer(kT * kHeads * kDim), out = buffer(kT * kHeads * kDim);
    device.attention(view(q, Format::f32, kT, kHeads * kDim), kv, view(out, Format::f32, kT, kHeads * kDim));
    REQUIRE(recorder.totals().size() == 1);
    CHECK(recorder.totals()[0].bytes == 7 * 2 * kDim * 4);               // positions 1 to 7
    CHECK(recorder.totals()[0].macs == (6 + 6) * 2 * kHeads * kDim);
}
