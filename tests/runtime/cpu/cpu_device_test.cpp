// The device's cutting of work: slices, ranges and parts give what one kernel call would give.
#include "runtime/cpu/cpu_device.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "kernels/select.h"

using namespace lapidary::runtime;
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
    auto buffer = device.allocate(static_cast<size_t>(rows * cols) * 4);
    REQUIRE(buffer);
    Matrix m{*buffer, view(*buffer, Format::f32, rows, cols)};
    for (int64_t i = 0; i < rows * cols; ++i) m.v.f32()[i] = random_value(seed);
    return m;
}

}  // namespace

TEST_CASE("cpu device: matmul over several parts, row ranges and biases equals the plain sum") {
    for (const char* level : {"ref", ""}) {
        CpuDevice device(*kernels::select(level, nullptr), 3, true);
        const int64_t k = 96, columns = 5;
        const Matrix a = matrix(device, 200, k, 1), b = matrix(device, 70, k, 2), x = matrix(device, columns, k, 3);
        const Matrix ya = matrix(device, columns, 200, 4), yb = matrix(device, columns, 70, 5);
        const Matrix bias = matrix(device, 1, 70, 6);
        const float untouched = ya.v.f32(2)[130];
        const MatmulPart parts[] = {{a.v, ya.v, nullptr, 3, 129}, {b.v, yb.v, bias.v.f32()}};
        device.matmul(parts, x.v);
        for (int64_t t = 0; t < columns; ++t) {
            for (int64_t r = 3; r < 129; ++r) {
                double want = 0, size = 0;
                for (int64_t i = 0; i < k; ++i) {
                    want += double{a.v.f32(r)[i]} * x.v.f32(t)[i];
                    size += std::abs(double{a.v.f32(r)[i]} * x.v.f32(t)[i]);
                }
                REQUIRE(std::abs(ya.v.f32(t)[r] - want) <= static_cast<double>(k) * 0x1p-24 * size);
            }
            for (int64_t r = 0; r < 70; ++r) {
                double want = bias.v.f32()[r], size = std::abs(want);
                for (int64_t i = 0; i < k; ++i) {
                    want += double{b.v.f32(r)[i]} * x.v.f32(t)[i];
                    size += std::abs(double{b.v.f32(r)[i]} * x.v.f32(t)[i]);
                }
                REQUIRE(std::abs(yb.v.f32(t)[r] - want) <= static_cast<double>(k + 1) * 0x1p-24 * size);
            }
        }
        CHECK(ya.v.f32(2)[130] == untouched);
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
    struct Row final : BufferData {};
    auto row = std::make_shared<Row>();
    row->host = reinterpret_cast<std::byte*>(blocks.data());
    row->bytes = blocks.size();
    const TensorView w{row.get(), 0, Format::q8_0, 1, k, 68};
    float results[2];
    for (const bool precise : {false, true}) {
        CpuDevice device(table, 1, precise);
        const Matrix x = matrix(device, 1, k, 9), y = matrix(device, 1, 1, 10);
        double sum = 0;
        for (int64_t i = 0; i < k; ++i) sum += x.v.f32()[i];
        const MatmulPart part{w, y.v};
        device.matmul({&part, 1}, x.v);
        results[precise] = y.v.f32()[0];
        // int8: each value is off by at most half a step of max/127.
        CHECK(std::abs(y.v.f32()[0] - sum) <= (precise ? 1e-5 : k * 0.5 / 127));
    }
    CHECK(results[0] != results[1]);
}

// Weights in rows, and the same in panels; inputs with and without norm; few and many columns.
TEST_CASE("cpu device: a gated product has the bits of its steps, normed inputs those of rms_norm before") {
    const auto& table = *kernels::select("", nullptr);
    for (const bool packed : {false, true}) {
        for (const int64_t columns : {1, 3, 40}) {
            CpuDevice device(table, 3, !packed);
            const int64_t k = 256, rows = 600;
            const Matrix gate_f32 = matrix(device, rows, k, 1), up_f32 = matrix(device, rows, k, 2);
            Matrix gate = gate_f32, up = up_f32;
            if (packed) {
                for (Matrix* m : {&gate, &up}) {  // bf16: the upper halves
                    auto half = device.allocate(static_cast<size_t>(rows * k) * 2);
                    REQUIRE(half);
                    for (int64_t i = 0; i < rows * k; ++i)
                        std::memcpy((*half)->host + 2 * i, reinterpret_cast<std::byte*>(m->v.f32() + i) + 2, 2);
                    const TensorView bf16 = view(*half, Format::bf16, rows, k);
                    REQUIRE(device.can_pack(bf16));
                    auto pack = device.pack(bf16);
                    REQUIRE(pack);
                    *m = {pack->buffer, pack->view};
                }
            }
            const Matrix x = matrix(device, columns, k, 3), norm = matrix(device, 1, k, 4);
            const Matrix normed = matrix(device, columns, k, 5), again = matrix(device, columns, k, 5);
            const Matrix a = matrix(device, columns, rows, 6), b = matrix(device, columns, rows, 7);
            const Matrix out = matrix(device, columns, rows, 8), scratch = matrix(device, columns, rows, 9);
            device.rms_norm(x.v, norm.v, 1e-6f, normed.v);
            const MatmulPart parts[] = {{gate.v, a.v}, {up.v, b.v}};
            device.matmul(parts, normed.v);
            for (int64_t t = 0; t < columns; ++t) table.geglu(a.v.f32(t), b.v.f32(t), rows, a.v.f32(t));
            device.gated_matmul(gate.v, up.v, {x.v, norm.v, 1e-6f, again.v}, scratch.v, out.v);
            CAPTURE(packed);
            CAPTURE(columns);
            CHECK(std::memcmp(out.v.f32(), a.v.f32(), static_cast<size_t>(columns * rows) * 4) == 0);
            CHECK(std::memcmp(again.v.f32(), normed.v.f32(), static_cast<size_t>(columns * k) * 4) == 0);
        }
    }
}

TEST_CASE("cpu device: embedding rows are scaled, negative ids leave the row alone") {
    CpuDevice device(*kernels::select("", nullptr), 2, true);
    const Matrix table = matrix(device, 4, 8, 1), out = matrix(device, 3, 8, 2);
    std::vector<float> before(out.v.f32(1), out.v.f32(1) + 8);
    const int32_t ids[] = {3, -1, 0};
    StepParams params;
    params.columns = 3;
    params.ids = ids;
    device.begin({3, 0}, params);
    device.embed_rows(table.v, 2.0f, out.v);
    for (int i = 0; i < 8; ++i) {
        CHECK(out.v.f32(0)[i] == 2 * table.v.f32(3)[i]);
        CHECK(out.v.f32(1)[i] == before[static_cast<size_t>(i)]);
        CHECK(out.v.f32(2)[i] == 2 * table.v.f32(0)[i]);
    }
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
    const KvTable table{1, {{*device.allocate(8 * (100 + 2 * 86)), 8}}};
    const KvSegment chunk{*device.allocate(5 * 2 * 86), 5};
    kv.table = &table;
    kv.scratch = &chunk;
    const auto rows = [&](const KvSegment& s, int32_t segment, const auto& row) {
        for (const auto plane : {&KvRowBytes::k, &KvRowBytes::v, &KvRowBytes::k_scales, &KvRowBytes::v_scales})
            for (int head = 0; head < 2; ++head)
                for (int at = 0; at < s.rows; ++at)
                    for (int64_t i = 0; i < kv.row.*plane; ++i)
                        row(s.buffer->host[kv.offsets(segment, head, at).*plane + i], at,
                            static_cast<std::byte>(1 + (kv.row.*plane * 7 + head * 31 + i) % 16 * 8));
    };
    rows(chunk, kScratchSegment, [](std::byte& b, int at, std::byte mark) { b = mark | static_cast<std::byte>(at); });
    StepParams params;
    auto& step = params.kv[static_cast<size_t>(KvClass::window)];
    step.commits[0] = {0, 6, 2};
    step.commits[1] = {2, 0, 3};
    step.commit_count = 2;
    device.begin({5, 0}, params);
    device.commit_kv(kv);
    rows(table.segments[0], 0, [](std::byte b, int at, std::byte mark) {
        const int from[] = {2, 3, 4, -1, -1, -1, 0, 1};
        CHECK(b == (from[at] < 0 ? std::byte{0} : mark | static_cast<std::byte>(from[at])));
    });
    for (int i = 0; i < 8 * 100; ++i) CHECK(table.segments[0].buffer->host[i] == std::byte{0});
}
