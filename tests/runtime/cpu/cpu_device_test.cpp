// The device's cutting of work: slices, ranges and parts give what one kernel call would give.
#include "runtime/cpu/cpu_device.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "kernels/select.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "tests/support/device_step.h"

using namespace lapidary::runtime;
using namespace lapidary::test;
namespace kernels = lapidary::kernels;

namespace {

float random_value(uint32_t& seed) {
    seed = seed * 1664525 + 1013904223;
    return static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
}

struct Matrix {
    Buffer buffer;
    TensorView v;
};

Matrix matrix(Device& device, int64_t rows, int64_t cols, uint32_t seed) {
    const Buffer buffer = allocate(device, rows * cols * 4);
    Matrix m{buffer, view(buffer, Format::f32, rows, cols)};
    for (int64_t i = 0; i < rows * cols; ++i) host_floats(m.v)[i] = random_value(seed);
    return m;
}

}  // namespace

TEST_CASE("cpu device: matmul over several parts, row ranges and biases equals the plain sum") {
    for (const char* level : {"ref", ""}) {
        CpuDevice device(*kernels::select(level, nullptr), 3, true);
        const int64_t k = 96;
        const int32_t columns = 5;
        const Matrix a = matrix(device, 200, k, 1), b = matrix(device, 70, k, 2), x = matrix(device, columns, k, 3);
        const Matrix ya = matrix(device, columns, 200, 4), yb = matrix(device, columns, 70, 5);
        const Matrix bias = matrix(device, 1, 70, 6);
        const float untouched = host_floats(ya.v, 2)[130];
        const MatmulPart parts[] = {{a.v, ya.v, {}, {3, 129}}, {b.v, yb.v, bias.v}};
        begin_step(device, {.columns = columns});
        device.matmul(parts, x.v);
        for (int64_t t = 0; t < columns; ++t) {
            for (int64_t r = 3; r < 129; ++r) {
                double want = 0, size = 0;
                for (int64_t i = 0; i < k; ++i) {
                    want += double{host_floats(a.v, r)[i]} * host_floats(x.v, t)[i];
                    size += std::abs(double{host_floats(a.v, r)[i]} * host_floats(x.v, t)[i]);
                }
                REQUIRE(std::abs(host_floats(ya.v, t)[r] - want) <= static_cast<double>(k) * 0x1p-24 * size);
            }
            for (int64_t r = 0; r < 70; ++r) {
                double want = host_floats(bias.v)[r], size = std::abs(want);
                for (int64_t i = 0; i < k; ++i) {
                    want += double{host_floats(b.v, r)[i]} * host_floats(x.v, t)[i];
                    size += std::abs(double{host_floats(b.v, r)[i]} * host_floats(x.v, t)[i]);
                }
                REQUIRE(std::abs(host_floats(yb.v, t)[r] - want) <= static_cast<double>(k + 1) * 0x1p-24 * size);
            }
        }
        CHECK(host_floats(ya.v, 2)[130] == untouched);
    }
}

TEST_CASE("cpu device: int8 inputs serve quantised weights only, and not in precise mode") {
    const auto& table = *kernels::select("", nullptr);
    const int64_t k = 64;
    // One q8_0 row of ones: scale 1, quants 1.
    std::vector<uint8_t> blocks(2 * 34, 1);
    for (size_t b = 0; b < 2; ++b) {
        blocks[b * 34] = 0x00;
        blocks[b * 34 + 1] = 0x3c;
    }
    const Buffer row = std::move(*allocate_host(blocks.size()));
    std::memcpy(host_bytes(*row), blocks.data(), blocks.size());
    const TensorView w{row.get(), 0, Format::q8_0, 1, k, 68};
    float results[2];
    for (const bool precise : {false, true}) {
        CpuDevice device(table, 1, precise);
        const Matrix x = matrix(device, 1, k, 9), y = matrix(device, 1, 1, 10);
        double sum = 0;
        for (int64_t i = 0; i < k; ++i) sum += host_floats(x.v)[i];
        const MatmulPart part{w, y.v};
        begin_step(device, {.columns = 1});
        device.matmul({&part, 1}, x.v);
        results[precise] = host_floats(y.v)[0];
        // int8: each value is off by at most half a step of max/127.
        CHECK(std::abs(host_floats(y.v)[0] - sum) <= (precise ? 1e-5 : k * 0.5 / 127));
    }
    CHECK(results[0] != results[1]);
}

// Weights in rows, and the same in panels; inputs with and without norm; few and many columns.
TEST_CASE("cpu device: a gated product has the bits of its steps, normed inputs those of rms_norm before") {
    const auto& table = *kernels::select("", nullptr);
    for (const bool packed : {false, true}) {
        for (const int32_t columns : {1, 3, 40}) {
            CpuDevice device(table, 3, !packed);
            const int64_t k = 256, rows = 600;
            const Matrix gate_f32 = matrix(device, rows, k, 1), up_f32 = matrix(device, rows, k, 2);
            Matrix gate = gate_f32, up = up_f32;
            if (packed) {
                for (Matrix* m : {&gate, &up}) {  // bf16: the upper halves
                    const Buffer half = allocate(device, rows * k * 2);
                    for (int64_t i = 0; i < rows * k; ++i)
                        std::memcpy(host_bytes(*half) + 2 * i, reinterpret_cast<std::byte*>(host_floats(m->v) + i) + 2, 2);
                    const TensorView bf16 = view(half, Format::bf16, rows, k);
                    REQUIRE(device.moves(bf16, Use::matrix));
                    auto placed = device.place(bf16, Use::matrix, {});
                    REQUIRE(placed);
                    REQUIRE(placed->view.layout == Layout::panels);
                    *m = {placed->memory, placed->view};
                }
            }
            const Matrix x = matrix(device, columns, k, 3), norm = matrix(device, 1, k, 4);
            const Matrix normed = matrix(device, columns, k, 5), again = matrix(device, columns, k, 5);
            const Matrix a = matrix(device, columns, rows, 6), b = matrix(device, columns, rows, 7);
            const Matrix out = matrix(device, columns, rows, 8), scratch = matrix(device, columns, rows, 9);
            begin_step(device, {.columns = columns});
            device.rms_norm(x.v, norm.v, 1e-6f, normed.v);
            const MatmulPart parts[] = {{gate.v, a.v}, {up.v, b.v}};
            device.matmul(parts, normed.v);
            for (int64_t t = 0; t < columns; ++t) table.geglu(host_floats(a.v, t), host_floats(b.v, t), rows, host_floats(a.v, t));
            device.gated_matmul(gate.v, up.v, {x.v, norm.v, 1e-6f, again.v}, scratch.v, out.v, {});
            CAPTURE(packed);
            CAPTURE(columns);
            CHECK(std::memcmp(host_floats(out.v), host_floats(a.v), static_cast<size_t>(columns * rows) * 4) == 0);
            // Any cut into ranges of rows writes those rows, with the same bits.
            const Matrix cut = matrix(device, columns, rows, 10);
            for (const RowRange range : {RowRange{0, 16}, RowRange{16, 400}, RowRange{400}})
                device.gated_matmul(gate.v, up.v, {x.v, norm.v, 1e-6f, again.v}, scratch.v, cut.v, range);
            CHECK(std::memcmp(host_floats(cut.v), host_floats(out.v), static_cast<size_t>(columns * rows) * 4) == 0);
            CHECK(std::memcmp(host_floats(again.v), host_floats(normed.v), static_cast<size_t>(columns * k) * 4) == 0);
        }
    }
}

TEST_CASE("cpu device: embedding rows are scaled, negative ids leave the row to the host's") {
    CpuDevice device(*kernels::select("", nullptr), 2, true);
    const Matrix table = matrix(device, 4, 8, 1), out = matrix(device, 3, 8, 2);
    std::vector<float> before(host_floats(out.v, 1), host_floats(out.v, 1) + 8);
    const StepInputs in = begin_step(device, {.kind = StepKind::picture, .columns = 3, .row_width = 8});
    const int32_t ids[] = {3, -1, 0}, second[] = {1, 1, 2};
    std::copy_n(ids, 3, in.ids());
    std::copy_n(second, 3, in.second_ids());
    for (int i = 0; i < 3 * 8; ++i) in.rows()[i] = static_cast<float>(i);
    device.embed_rows(table.v, Entry::ids, 2.0f, out.v);
    for (int i = 0; i < 8; ++i) {
        CHECK(host_floats(out.v, 0)[i] == 2 * host_floats(table.v, 3)[i]);
        CHECK(host_floats(out.v, 1)[i] == before[static_cast<size_t>(i)]);
        CHECK(host_floats(out.v, 2)[i] == 2 * host_floats(table.v, 0)[i]);
    }
    device.input_rows(Device::Rows::without_id, out.v, 0);
    for (int i = 0; i < 8; ++i) {
        CHECK(host_floats(out.v, 0)[i] == 2 * host_floats(table.v, 3)[i]);
        CHECK(host_floats(out.v, 1)[i] == static_cast<float>(8 + i));
    }
    device.embed_rows(table.v, Entry::second_ids, 1.0f, out.v);
    CHECK(host_floats(out.v, 2)[7] == host_floats(table.v, 2)[7]);
    device.input_rows(Device::Rows::all, out.v, 0);
    CHECK(host_floats(out.v, 2)[7] == 23.0f);
}

TEST_CASE("cpu device: copies bytes between buffers, whole pieces and the rest") {
    CpuDevice device(*kernels::select("", nullptr), 3, true);
    constexpr size_t kBytes = (size_t{5} << 19) + 77;
    const Buffer from = allocate(device, kBytes), to = allocate(device, kBytes);
    for (size_t i = 0; i < kBytes; ++i) host_bytes(*from)[i] = static_cast<std::byte>(1 + i * i % 251);
    REQUIRE(device.copy(from, 5, to, 9, kBytes - 20));
    CHECK(std::memcmp(host_bytes(*from) + 5, host_bytes(*to) + 9, kBytes - 20) == 0);
    for (size_t i = 0; i < 9; ++i) CHECK(host_bytes(*to)[i] == std::byte{0});
    for (size_t i = kBytes - 11; i < kBytes; ++i) CHECK(host_bytes(*to)[i] == std::byte{0});
}

TEST_CASE("cpu device: scratch rows enter the ring where the step says") {
    CpuDevice device(*kernels::select("", nullptr), 1, true);
    // Two kv heads of a q8_0 layer, 100 bytes a position behind the layers in front; a number for each byte of a row.
    KvView kv;
    kv.kv_class = KvClass::window;
    kv.format = KvFormat::q8_0;
    kv.kv_heads = 2;
    kv.dim = 32;
    kv.row = {32, 48, 2, 4};
    kv.layer_bytes = 100;
    const KvTable table{1, {{allocate(device, 8 * (100 + 2 * 86)), 8}}};
    const KvSegment chunk{allocate(device, 5 * 2 * 86), 5};
    kv.table = &table;
    kv.scratch = &chunk;
    const auto rows = [&](const KvSegment& s, int32_t segment, const auto& row) {
        for (const auto plane : {&KvRowBytes::k, &KvRowBytes::v, &KvRowBytes::k_scales, &KvRowBytes::v_scales})
            for (int head = 0; head < 2; ++head)
                for (int at = 0; at < s.rows; ++at)
                    for (int64_t i = 0; i < kv.row.*plane; ++i)
                        row(host_bytes(*s.buffer)[kv.offsets(segment, head, at).*plane + i], at,
                            static_cast<std::byte>(1 + (kv.row.*plane * 7 + head * 31 + i) % 16 * 8));
    };
    rows(chunk, kScratchSegment, [](std::byte& b, int at, std::byte mark) { b = mark | static_cast<std::byte>(at); });
    auto& step = begin_step(device, {.columns = 5}).kv(KvClass::window);
    step.commits[0] = {0, 6, 2};
    step.commits[1] = {2, 0, 3};
    step.commit_count = 2;
    device.commit_kv(kv);
    rows(table.segments[0], 0, [](std::byte b, int at, std::byte mark) {
        const int from[] = {2, 3, 4, -1, -1, -1, 0, 1};
        CHECK(b == (from[at] < 0 ? std::byte{0} : mark | static_cast<std::byte>(from[at])));
    });
    for (int i = 0; i < 8 * 100; ++i) CHECK(host_bytes(*table.segments[0].buffer)[i] == std::byte{0});
}

TEST_CASE("cpu device: the watch stops a step before a layer, and wait says so") {
    CpuDevice device(*kernels::select("", nullptr), 1, true);
    std::vector<int32_t> asked;
    REQUIRE(device.begin({.shape = {.columns = 1, .widest = 8}}, [&](int32_t layer) {
        asked.push_back(layer);
        return layer < 2;
    }));
    CHECK(device.layer("input", -1));
    CHECK(device.layer("sliding", 0));
    CHECK(device.layer("sliding", 1));
    CHECK(!device.layer("global", 2));
    CHECK(!device.layer("global", 3));  // nobody is asked again
    CHECK(asked == std::vector<int32_t>{0, 1, 2});
    const auto done = device.wait(device.submit());
    REQUIRE(!done);
    CHECK(done.error().code == lapidary::Errc::cancelled);
    begin_step(device, {.columns = 1});
    CHECK(device.wait(device.submit()));
}
