// Rows of activations and of the embedding, norms, the int8 image: dispatches as runtime/vulkan/vulkan_operations.cpp
// makes them, of one column and of a chunk. And what measures the device itself.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "bench/shaders_support.h"
#include "kernels/panels.h"
#include "runtime/vulkan/products.h"

namespace lapidary::bench {
namespace {

constexpr uint32_t kThreads = 256;

uint32_t u32(int64_t n) { return static_cast<uint32_t>(n); }
uint32_t groups_of(int64_t items) { return u32((items + kThreads - 1) / kThreads); }

// Ranges of buffers made for them, in the order of the row's pointers; no pointer where 0 bytes are asked for.
Result<std::vector<Range>> ranges_of(Gpu& gpu, Work& work, std::initializer_list<int64_t> bytes) {
    std::vector<Range> out;
    for (const int64_t b : bytes) {
        if (b == 0) {
            out.push_back({});
            continue;
        }
        LAP_ASSIGN(const auto buffer, gpu.random(work, b));
        out.push_back(range_of(*buffer, 0, buffer->bytes));
    }
    return out;
}

template <class Scalars>
Result<Work> one_dispatch(Gpu& gpu, const PipelineKey& key, std::array<uint32_t, 3> groups, std::initializer_list<int64_t> bytes,
                          const Scalars& scalars, double moved) {
    Work work;
    LAP_ASSIGN(auto ranges, ranges_of(gpu, work, bytes));
    work.calls = {{make_dispatch(key, groups, std::move(ranges), scalars)}};
    work.bytes = moved;
    return work;
}

Result<Work> elementwise(Gpu& gpu, Shader shader, int64_t count) {
    const struct { uint32_t count; float cap; } scalars{u32(count), 30};
    const std::array<uint32_t, 3> groups = {groups_of(count), 1, 1};
    if (shader == Shader::soft_cap)
        return one_dispatch(gpu, {shader, {kThreads}}, groups, {count * 4}, scalars, static_cast<double>(count * 8));
    return one_dispatch(gpu, {shader, {kThreads}}, groups, {count * 4, count * 4}, scalars, static_cast<double>(count * 12));
}

// With or without the residual in front and the int8 image behind it.
Result<Work> norm(Gpu& gpu, Shader shader, bool add, bool image, int64_t columns, int64_t n) {
    Work work;
    const int64_t x = columns * n * 4, w = n * 4;
    LAP_ASSIGN(auto ranges, add ? ranges_of(gpu, work, {x, x, w, w, x}) : ranges_of(gpu, work, {x, w, x}));
    const auto image_bytes = static_cast<int64_t>(product_image_bytes(columns, n));
    if (image) {
        LAP_ASSIGN(const auto buffer, gpu.random(work, image_bytes));
        ranges.push_back(range_of(*buffer, 0, buffer->bytes));
    }
    const struct { uint32_t n; float eps, scale; } scalars{u32(n), 1e-6f, 1};
    work.calls = {{make_dispatch({shader, {kThreads, add ? 3u : 1u}}, {u32(columns), 1, 1}, std::move(ranges), scalars)}};
    work.bytes = static_cast<double>((add ? 4 : 2) * x + (image ? image_bytes : 0));
    return work;
}

Result<Work> layer_norm(Gpu& gpu, int64_t columns, int64_t n) {
    const struct { uint32_t n; float eps; } scalars{u32(n), 1e-6f};
    const int64_t x = columns * n * 4;
    return one_dispatch(gpu, {Shader::layer_norm, {kThreads}}, {u32(columns), 1, 1}, {x, n * 4, n * 4, x}, scalars,
                        2 * static_cast<double>(x));
}

Result<Work> input_rows(Gpu& gpu, int64_t columns, int64_t n) {
    const struct { uint32_t cols, row_width, stride; } scalars{u32(n), u32(n), u32(n)};
    const int64_t x = columns * n * 4;
    return one_dispatch(gpu, {Shader::input_rows, {kThreads, 0}}, {groups_of(n), u32(columns), 1}, {x, columns * 4, x}, scalars,
                        2 * static_cast<double>(x));
}

Result<Work> quantize(Gpu& gpu, int64_t columns, int64_t k) {
    Work work;
    LAP_ASSIGN(const auto x, gpu.random(work, columns * k * 4));
    LAP_ASSIGN(const auto image, gpu.random(work, static_cast<int64_t>(product_image_bytes(columns, k))));
    work.calls = {{quantize_rows(view(x, Format::f32, columns, k), range_of(*image, 0, image->bytes))}};
    work.bytes = static_cast<double>(columns * k * 5);
    return work;
}

Result<Work> embed(Gpu& gpu, Shader shader, Format format, bool panels, int64_t columns, int64_t n) {
    constexpr int64_t kRows = 4096;
    Work work;
    const int64_t unit = panels ? kernels::panel_bytes(format, n) : kernels::row_bytes(format, n);
    LAP_ASSIGN(const auto table, gpu.random(work, unit * (panels ? kRows / kernels::kPanel : kRows)));
    LAP_ASSIGN(const auto entries, gpu.host(work, columns * 4));
    LAP_ASSIGN(const auto out, gpu.random(work, columns * n * 4));
    for (int64_t t = 0; t < columns; ++t) {
        const auto entry = static_cast<int32_t>(t * 1237 % kRows);
        std::memcpy(entries->mapped() + t * 4, &entry, sizeof entry);
    }
    const struct { uint32_t cols, stride, unit; float scale; } scalars{u32(n), u32(n), u32(unit), 1};
    work.calls = {{make_dispatch({shader, {kThreads}}, {groups_of(n), u32(columns), 1},
                                 {range_of(*table, 0, table->bytes), range_of(*entries, 0, entries->bytes),
                                  range_of(*out, 0, out->bytes)},
                                 scalars)}};
    work.bytes = static_cast<double>(columns * (kernels::row_bytes(format, n) + n * 4));
    return work;
}

Result<Work> read_all(Gpu& gpu, int64_t bytes) {
    constexpr int64_t kGroups = 4096, kLine = 4 * kThreads;  // 16-byte words
    const int64_t quads = bytes / 16, stretch = (quads + kLine * kGroups - 1) / (kLine * kGroups) * kLine;
    const struct { uint32_t quads, stretch; } scalars{u32(quads), u32(stretch)};
    return one_dispatch(gpu, {Shader::read_all, {kThreads}}, {u32((quads + stretch - 1) / stretch), 1, 1}, {bytes, kGroups * 4},
                        scalars, static_cast<double>(bytes));
}

Result<Work> peak_dot(Gpu& gpu) {
    const uint32_t rounds = gpu.small() ? 8 : 256, groups = gpu.small() ? 16 : 1024;
    const struct { uint32_t rounds; int32_t seed; } scalars{rounds, 12345};
    LAP_ASSIGN(Work work, one_dispatch(gpu, {Shader::peak_dot, {kThreads}}, {groups, 1, 1}, {4}, scalars, 0));
    work.macs = 256.0 * rounds * kThreads * groups;
    return work;
}

Result<Work> peak_matrix(Gpu& gpu, Shader shader) {
    const DeviceFacts& facts = gpu.facts();
    const MatrixShape s = largest_of(shader == Shader::peak_matrix_int8 ? facts.matrix_int8 : facts.matrix_half);
    const uint32_t rounds = gpu.small() ? 4 : 256, groups = gpu.small() ? 16 : 1024, subgroups = std::max(1u, 128 / facts.subgroup);
    const struct { uint32_t rounds; int32_t seed; } scalars{rounds, 1};
    const PipelineKey key{shader, {subgroups * facts.subgroup, s.m, s.n, s.k}, facts.subgroup_min > 0 ? facts.subgroup : 0};
    LAP_ASSIGN(Work work, one_dispatch(gpu, key, {groups, 1, 1}, {4}, scalars, 0));
    work.macs = 4.0 * rounds * subgroups * groups * s.m * s.n * s.k;
    return work;
}

}  // namespace

Cases row_cases(const ShaderRow& row, Shader shader, const Gpu& gpu) {
    const int64_t n = gpu.small() ? 512 : 3840;
    Cases out;
    const auto add = [&](const auto& make) {
        for (const int64_t columns : columns_for(gpu))
            out.push_back({shader, concat(row.name, "/columns:", columns), [=](Gpu& g) { return make(g, columns); }});
    };
    if (row.source == "elementwise.comp")
        add([=](Gpu& g, int64_t columns) { return elementwise(g, shader, columns * n); });
    else if (row.source == "rms_norm.comp")
        add([=, has_add = has_define(row, "ADD"), has_image = has_define(row, "IMAGE")](Gpu& g, int64_t columns) {
            return norm(g, shader, has_add, has_image, columns, n);
        });
    else if (shader == Shader::layer_norm)
        add([=](Gpu& g, int64_t columns) { return layer_norm(g, columns, n); });
    else if (shader == Shader::input_rows)
        add([=](Gpu& g, int64_t columns) { return input_rows(g, columns, n); });
    else if (shader == Shader::quantize)
        add([=](Gpu& g, int64_t columns) { return quantize(g, columns, n); });
    else if (row.source == "embed.comp")
        add([=, format = format_of(row), panels = has_define(row, "PANELS")](Gpu& g, int64_t columns) {
            return embed(g, shader, format, panels, columns, n);
        });
    return out;
}

Cases measuring_cases(const ShaderRow& row, Shader shader, const Gpu& gpu) {
    const int64_t mib = gpu.small() ? 16 : 256;
    if (shader == Shader::read_all)
        return {{shader, concat(row.name, "/MiB:", mib), [=](Gpu& g) { return read_all(g, mib << 20); }}};
    if (shader == Shader::peak_dot) return {{shader, std::string(row.name), peak_dot}};
    if (row.source == "peak_matrix.comp") return {{shader, std::string(row.name), [=](Gpu& g) { return peak_matrix(g, shader); }}};
    return {};
}

}  // namespace lapidary::bench
