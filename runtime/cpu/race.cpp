// Times panel kernels on panels of zeros: their speed does not depend on the values.
#include "runtime/cpu/race.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "base/try.h"
#include "kernels/select.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"

namespace lapidary::runtime {
namespace {

using kernels::Format;
using kernels::KernelTable;

constexpr int64_t kK = 2048;               // a multiple of every panel_k_multiple
constexpr int64_t kStreamBytes = 8 << 20;  // more than a second-level cache
constexpr int64_t kManyColumns = 24, kManyRows = 64;
constexpr int kLaps = 3;  // the best counts: a lap is short against what disturbs it

// Room for the activations of every kind of panel input, all zero.
struct Track {
    Buffer panels, input, out;
    kernels::PanelMatmulArgs args;
};

Result<Track> lay(Format f, bool few) {
    const int64_t panel = kernels::panel_bytes(f, kK);
    const int64_t count = few ? kStreamBytes / panel : kManyRows / kernels::kPanel;
    const int64_t columns = few ? 1 : kManyColumns;
    Track t;
    LAP_ASSIGN(t.panels, allocate_host(static_cast<size_t>(count * panel)));
    LAP_ASSIGN(t.input, allocate_host(static_cast<size_t>(columns * kK) * 8));
    LAP_ASSIGN(t.out, allocate_host(static_cast<size_t>(columns * count * kernels::kPanel) * sizeof(float)));
    kernels::PanelMatmulArgs& a = t.args;
    a.panels = host_bytes(*t.panels);
    a.x.q_stride = kernels::panel_q_stride(kK);
    std::byte* at = host_bytes(*t.input);
    a.x.q = reinterpret_cast<int8_t*>(at);
    a.x.x = reinterpret_cast<const float*>(at);
    a.x.x_stride = kK;
    at += columns * kK * 4;
    a.x.sums = reinterpret_cast<int16_t*>(at);
    a.x.offsets = reinterpret_cast<int32_t*>(at);
    a.x.eighths = reinterpret_cast<int32_t*>(at);
    a.x.scales = reinterpret_cast<float*>(at);
    a.x.columns = columns;
    a.x.k = kK;
    a.y = reinterpret_cast<float*>(host_bytes(*t.out));
    a.y_stride = count * kernels::kPanel;
    a.rows = count * kernels::kPanel;
    a.panel_end = count;
    return t;
}

double gmacs(kernels::PanelMatmulFn kernel, const kernels::PanelMatmulArgs& a) {
    const auto start = std::chrono::steady_clock::now();
    kernel(a);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return static_cast<double>(a.rows * a.x.k * a.x.columns) / took.count() / 1e9;
}

// The results of one heat, laps interleaved. Empty where fewer than two functions compete.
std::vector<RaceResult> heat(std::span<const KernelTable* const> runners, Format f, bool few,
                             kernels::PanelMatmulFn& best) {
    const size_t slot = static_cast<size_t>(f);
    std::vector<RaceResult> results;
    std::vector<kernels::PanelMatmulFn> functions;
    for (const KernelTable* r : runners) {
        const auto function = few ? r->panel_matmul_few[slot] : r->panel_matmul[slot];
        if (!function || std::find(functions.begin(), functions.end(), function) != functions.end()) continue;
        functions.push_back(function);
        results.push_back({f, few, r->isa});
    }
    if (functions.size() < 2) return {};
    const auto track = lay(f, few);
    if (!track) return {};  // without memory for a race the table stays as it is
    for (int lap = 0; lap < kLaps; ++lap)
        for (size_t i = 0; i < functions.size(); ++i)
            results[i].gmacs = std::max(results[i].gmacs, gmacs(functions[i], track->args));
    const auto winner = std::max_element(results.begin(), results.end(), [](const auto& a, const auto& b) {
        return a.gmacs < b.gmacs;
    });
    winner->won = true;
    best = functions[static_cast<size_t>(winner - results.begin())];
    return results;
}

}  // namespace

std::vector<const KernelTable*> racers() {
    std::vector<const KernelTable*> out = kernels::runnable_tables();
    std::erase_if(out, [](const KernelTable* t) { return std::string_view(t->isa) == "ref"; });
    return out;
}

std::vector<RaceResult> race(std::span<const KernelTable* const> runners, std::span<const Format> formats,
                             KernelTable& table) {
    std::vector<RaceResult> all;
    for (const Format f : formats) {
        // Where a level rounds its bf16 activations, the others are not its equals.
        const bool rounds = f == Format::bf16 && std::any_of(runners.begin(), runners.end(),
                                                             [](const KernelTable* r) { return r->round_bf16; });
        if (!kernels::has_panels(f) || rounds) continue;
        const size_t slot = static_cast<size_t>(f);
        for (const bool few : {true, false}) {
            const auto results = heat(runners, f, few, few ? table.panel_matmul_few[slot] : table.panel_matmul[slot]);
            all.insert(all.end(), results.begin(), results.end());
        }
    }
    return all;
}

}  // namespace lapidary::runtime
