// Dispatches of shaders/read_all.comp, peak_dot.comp and peak_matrix.comp, timed by the host; see vulkan_probe.h.
#include "runtime/vulkan/vulkan_probe.h"

#include <algorithm>
#include <utility>

#include "base/describe.h"
#include "runtime/vulkan/timed_runs.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr uint32_t kProbeThreads = 256;
constexpr uint32_t kGroups = 4096;

}  // namespace

bool VulkanProbe::reserve() {
    if (sums_) return true;
    auto buffer = allocate_buffer(queue_.context(), 2 * kGroups * sizeof(uint32_t), Memory::device, "sums of a probe");
    if (buffer) sums_ = std::move(*buffer);
    return sums_ != nullptr;
}

double VulkanProbe::rate(const Dispatch& dispatch, double seconds) {
    const double start = TimedRuns::now();
    TimedRuns runs(queue_, pipelines_, dispatch);
    if (!runs.settle(TimedRuns::kLongSubmit)) return 0;
    double best = 0;
    do {
        const auto took = runs.measure();
        if (!took) return 0;
        best = std::max(best, 1 / *took);
    } while (TimedRuns::now() - start < seconds);
    return best;
}

double VulkanProbe::read_bandwidth(const Buffer& buffer, double seconds) {
    if (!reserve()) return 0;
    const uint64_t quads = std::min<uint64_t>(buffer->bytes / 16, UINT32_MAX);
    const uint64_t line = 4 * kProbeThreads;
    const uint64_t stretch = std::max<uint64_t>(1, (quads + line * kGroups - 1) / (line * kGroups)) * line;
    const auto groups = static_cast<uint32_t>((quads + stretch - 1) / stretch);
    const struct { uint32_t quads, stretch; } scalars{static_cast<uint32_t>(quads), static_cast<uint32_t>(stretch)};
    const Dispatch d = make_dispatch({Shader::read_all, {kProbeThreads}}, {groups, 1, 1},
                                     {range_of(*buffer, 0, buffer->bytes), range_of(*sums_, 0, sums_->bytes)}, scalars);
    return rate(d, seconds) * static_cast<double>(quads) * 16e-9;
}

double VulkanProbe::int8_peak(double seconds) {
    if (!queue_.context()->facts().dot || !reserve()) return 0;
    const bool slow = queue_.context()->facts().software;
    const uint32_t rounds = slow ? 8 : 256, groups = slow ? 16 : 1024;
    const struct { uint32_t rounds; int32_t seed; } scalars{rounds, 12345};
    const Dispatch d = make_dispatch({Shader::peak_dot, {kProbeThreads}}, {groups, 1, 1}, {range_of(*sums_, 0, sums_->bytes)}, scalars);
    return rate(d, seconds) * rounds * 64.0 * 4.0 * kProbeThreads * groups * 1e-9;
}

const char* VulkanProbe::peak_instruction() const {
    const DeviceFacts& facts = queue_.context()->facts();
    return !facts.dot ? "" : facts.dot_accelerated ? "OpSDot 4x8" : "OpSDot 4x8, emulated";
}

MatrixPeak VulkanProbe::matrix_peak(double seconds) {
    const DeviceFacts& facts = queue_.context()->facts();
    const std::pair<Shader, const std::vector<MatrixShape>&> kinds[] = {{Shader::peak_matrix_int8, facts.matrix_int8},
                                                                        {Shader::peak_matrix_half, facts.matrix_half}};
    MatrixPeak best;
    for (const auto& [shader, shapes] : kinds) {
        const MatrixShape s = largest_of(shapes);
        const std::string test = concat(row_of(shader).name, " ", s.m, "x", s.n, "x", s.k);
        if (shapes.empty() || !reserve()) continue;
        const auto known = verdicts_ ? verdicts_->of(test) : std::nullopt;
        if (known && !known->passed) continue;
        const bool announced = verdicts_ && !known;  // drivers crash in matrices more than elsewhere
        if (announced && !verdicts_->begin(test)) continue;
        const uint32_t rounds = facts.software ? 4 : 256, groups = facts.software ? 16 : 1024, threads = std::max(facts.subgroup, 128u);
        const struct { uint32_t rounds; int32_t seed; } scalars{rounds, 1};
        const Dispatch d = make_dispatch({shader, {threads, s.m, s.n, s.k}, facts.subgroup_min > 0 ? facts.subgroup : 0}, {groups, 1, 1},
                                         {range_of(*sums_, 0, sums_->bytes)}, scalars);
        const double gmacs = rate(d, seconds / 2) * rounds * 4.0 * s.m * s.n * s.k * (threads / facts.subgroup) * groups * 1e-9;
        if (announced) (void)verdicts_->finish(test, gmacs > 0, gmacs > 0 ? "" : "the probe did not run");
        const bool int8 = shader == Shader::peak_matrix_int8;
        if (gmacs > best.gmacs) best = {gmacs, concat("OpCooperativeMatrixMulAddKHR ", int8 ? "s8 " : "f16 ", s.m, "x", s.n, "x", s.k)};
    }
    return best;
}

}  // namespace lapidary::runtime::vulkan
