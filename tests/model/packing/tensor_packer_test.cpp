// Tensors on their way into a packed file: every pair of layouts, threads, slabs, bad values, and the error.
#include "model/packing/tensor_packer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/try.h"
#include "kernels/select.h"
#include "model/packing/quantize.h"
#include "runtime/file/lapidary_file.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::model;
using namespace lapidary::test;
using runtime::Layout;

namespace {

const kernels::KernelTable& table() { return *kernels::select("ref", nullptr); }

SourceTensor holding(Format format, Layout layout, std::vector<int64_t> shape, const std::string& bytes) {
    SourceTensor out;
    out.name = "matrix";
    out.format = format;
    out.layout = layout;
    out.shape = std::move(shape);
    out.buffer = unwrap(runtime::allocate_host(bytes.size()));
    std::memcpy(host_bytes(*out.buffer), bytes.data(), bytes.size());
    out.bytes = bytes.size();
    return out;
}

std::vector<float> values(int64_t count) {
    std::vector<float> out;
    for (int64_t i = 0; i < count; i++)
        out.push_back(static_cast<float>(std::sin(static_cast<double>(i * i % 997))));
    return out;
}

SourceTensor floats(int64_t rows, int64_t cols, const std::vector<float>& x) {
    return holding(Format::f32, Layout::rows, {rows, cols},
                   std::string(reinterpret_cast<const char*>(x.data()), x.size() * sizeof(float)));
}

struct Packed {
    std::string bytes;
    PackError error;
};

// Packs a copy: the packer gives its source back as it goes.
Result<Packed> pack(const SourceTensor& original, TensorPlan plan, int threads = 2) {
    SourceTensor tensor = original;
    tensor.buffer = unwrap(runtime::allocate_host(original.bytes));
    std::memcpy(host_bytes(*tensor.buffer), host_bytes(*original.buffer), original.bytes);
    runtime::ThreadPool pool(threads);
    TensorPacker packer(table(), pool);
    Packed out;
    uint64_t read = 0;
    LAP_ASSIGN(out.error, packer.pack(
                              tensor, plan,
                              [&](const void* bytes, size_t count) -> Result<void> {
                                  out.bytes.append(static_cast<const char*>(bytes), count);
                                  return {};
                              },
                              [&](uint64_t bytes) {
                                  read += bytes;
                                  return true;
                              }));
    CHECK(read == tensor.bytes);
    CHECK(out.bytes.size() == tensor.bytes_as(plan.format, plan.layout));
    return out;
}

}  // namespace

TEST_CASE("tensor packer: rows and panels of every format hold the same blocks") {
    constexpr int64_t kRows = 37, kCols = 512;
    const SourceTensor source = floats(kRows, kCols, values(kRows * kCols));
    for (const Format format :
         {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::bf16, Format::f16}) {
        CAPTURE(kernels::name(format));
        const Packed rows = unwrap(pack(source, {format, Layout::rows}));
        const Packed panels = unwrap(pack(source, {format, Layout::panels}));
        CHECK(rows.error.rmse == panels.error.rmse);
        CHECK(rows.error.rms == doctest::Approx(std::sqrt(0.5)).epsilon(0.05));
        CHECK(rows.error.rmse < 0.1 * rows.error.rms);
        CHECK(rows.error.max >= rows.error.rmse);
        const SourceTensor in_rows = holding(format, Layout::rows, {kRows, kCols}, rows.bytes);
        const SourceTensor in_panels = holding(format, Layout::panels, {kRows, kCols}, panels.bytes);
        const Packed packed = unwrap(pack(in_rows, {format, Layout::panels}));
        const Packed unpacked = unwrap(pack(in_panels, {format, Layout::rows}));
        CHECK(packed.bytes == panels.bytes);
        CHECK(unpacked.bytes == rows.bytes);
        CHECK(packed.error.rmse == 0);
        // From panels to another format, as from rows.
        CHECK(unwrap(pack(in_panels, {Format::q8_0, Layout::rows})).bytes ==
              unwrap(pack(in_rows, {Format::q8_0, Layout::rows})).bytes);
    }
}

TEST_CASE("tensor packer: threads and slabs change nothing") {
    constexpr int64_t kRows = 4099, kCols = 2048;  // several slabs, a panel of 3 rows at the end
    const SourceTensor source = floats(kRows, kCols, values(kRows * kCols));
    const Packed one = unwrap(pack(source, {Format::q4_0, Layout::panels}, 1));
    const Packed three = unwrap(pack(source, {Format::q4_0, Layout::panels}, 3));
    CHECK(one.bytes == three.bytes);
    CHECK(one.error.rmse == three.error.rmse);
    CHECK(one.error.max == three.error.max);
}

TEST_CASE("tensor packer: what stays is copied, whatever its shape") {
    const SourceTensor scalar = holding(Format::f32, Layout::rows, {}, "abcd");
    CHECK(unwrap(pack(scalar, {Format::f32, Layout::rows})).bytes == "abcd");
    const SourceTensor cube = holding(Format::bf16, Layout::rows, {2, 3, 1}, "0123456789ab");
    CHECK(unwrap(pack(cube, {Format::bf16, Layout::rows})).bytes == "0123456789ab");
}

TEST_CASE("tensor packer: values that a format cannot hold are refused") {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1e6f}) {
        auto x = values(20 * 256);
        x[17 * 256 + 3] = bad;
        for (const Format format : {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::f16}) {
            const auto packed = pack(floats(20, 256, x), {format, Layout::panels});
            REQUIRE(!packed);
            CHECK(packed.error().code == Errc::bad_model_file);
            CHECK(packed.error().message.find("'matrix'") != std::string::npos);
        }
    }
    auto x = values(256);
    x[3] = -1e6f;
    CHECK(pack(floats(1, 256, x), {Format::bf16, Layout::rows}));
}

TEST_CASE("tensor packer: stopped by progress and by the sink") {
    const SourceTensor source = floats(20, 256, values(20 * 256));
    runtime::ThreadPool pool(2);
    TensorPacker packer(table(), pool);
    const auto good = [](const void*, size_t) -> Result<void> { return {}; };
    const auto full = [](const void*, size_t) -> Result<void> { return Error{Errc::io_error, "full"}; };
    for (const TensorPlan plan :
         {TensorPlan{Format::f32, Layout::rows}, TensorPlan{Format::q4_0, Layout::panels}}) {
        CHECK(packer.pack(source, plan, good, [](uint64_t) { return false; }).error().code ==
              Errc::cancelled);
        CHECK(packer.pack(source, plan, full, [](uint64_t) { return true; }).error().code == Errc::io_error);
    }
}
