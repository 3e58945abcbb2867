// Rows on both devices, steps on them, results side by side; see self_test.h. Limits follow from the number of roundings.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/select.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/self_test_rows.h"

namespace lapidary::runtime::vulkan {

uint16_t half_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<uint16_t>((bits >> 13 & 0x3ff) | ((bits >> 23) - 112) << 10);
}

namespace {

// Offsets of the f16 scales in a block.
std::vector<size_t> scales_of(Format f) {
    switch (f) {
        case Format::q4_1: case Format::q5_1: case Format::q4_k: case Format::q5_k: return {0, 2};
        case Format::q2_k: return {80, 82};
        case Format::q3_k: return {108};
        case Format::q6_k: return {208};
        default: return {0};
    }
}

}  // namespace

void fill_blocks(Format f, int64_t count, Random& random, std::byte* out) {
    if (f == Format::f32 || f == Format::bf16 || f == Format::f16) {
        for (int64_t i = 0; i < count; ++i) {
            const float value = random.value();
            uint32_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            const uint16_t upper = static_cast<uint16_t>(bits >> 16);
            const auto half = static_cast<uint16_t>(half_bits(0.01f + std::fabs(value)) | (bits >> 16 & 0x8000));
            if (f == Format::f32) std::memcpy(out + 4 * i, &bits, 4);
            if (f == Format::bf16) std::memcpy(out + 2 * i, &upper, 2);
            if (f == Format::f16) std::memcpy(out + 2 * i, &half, 2);
        }
        return;
    }
    const int64_t bytes = kernels::row_bytes(f, count), block = kernels::block_bytes(f);
    for (int64_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(random.bits() >> 8);
    for (int64_t at = 0; at < bytes; at += block)
        for (const size_t s : scales_of(f)) {
            const uint16_t half = half_bits((1.5f + random.value()) / 64);
            std::memcpy(out + at + s, &half, 2);
        }
}

Result<SelfTest::Rows> SelfTest::rows(Format format, int64_t count, int64_t cols, uint32_t seed, Use use) {
    LAP_ASSIGN(Buffer source, allocate_host(static_cast<size_t>(count * kernels::row_bytes(format, cols))));
    Random random(seed);
    fill_blocks(format, count * cols, random, host_bytes(*source));
    return place(std::move(source), format, count, cols, use);
}

Result<SelfTest::Rows> SelfTest::place(Buffer source, Format format, int64_t count, int64_t cols, Use use) {
    Rows r;
    r.source = std::move(source);
    r.host = view(r.source, format, count, cols);
    LAP_ASSIGN(Placed cpu, reference_.place(r.host, use, {}));
    LAP_ASSIGN(Placed gpu, gpu_.place(r.host, use, {}));
    r.on_cpu = cpu.memory ? std::move(cpu.memory) : r.source;
    r.on_gpu = std::move(gpu.memory);
    r.cpu = cpu.view;
    r.gpu = gpu.view;
    return r;
}

Result<void> SelfTest::run(Device& device, const StepShape& shape, const Fill& fill, const Note& note) {
    LAP_ASSIGN(const Recording recording, device.begin({.shape = shape, .weights = new_identity()}, {}));
    if (fill) fill(recording.inputs);
    note(device, &device == &gpu_);
    device.end();
    return device.wait(device.submit());
}

Result<void> SelfTest::run(const StepShape& shape, const Fill& fill, const Note& note) {
    LAP_TRY(run(gpu_, shape, fill, note));
    return run(reference_, shape, fill, note);
}

Result<void> SelfTest::compare(const char* what, const Rows& result, const std::function<double(int64_t)>& limit) {
    const auto* got = reinterpret_cast<const float*>(gpu_.read(result.gpu));
    const auto* wanted = reinterpret_cast<const float*>(reference_.read(result.cpu));
    if (!got) return Error{Errc::device_lost, "the device was lost in a self-test"};
    for (int64_t row = 0; row < result.host.rows; ++row) {
        const double allowed = limit(row);
        for (int64_t i = row * result.host.cols; i < (row + 1) * result.host.cols; ++i) {
            const double off = std::fabs(double{got[i]} - wanted[i]);
            if (off <= allowed) continue;  // NaN is not
            char numbers[128];
            std::snprintf(numbers, sizeof numbers, "%.6g instead of %.6g, %.2g more than rounding explains", got[i], wanted[i], off - allowed);
            return Error{Errc::internal, concat(what, ": column ", row, ", value ", i % result.host.cols, " is ", numbers)};
        }
    }
    return {};
}

}  // namespace lapidary::runtime::vulkan
