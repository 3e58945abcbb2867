// Self-tests of candidates, then rounds of all of them on made-up matrices; see race.h.
#include "runtime/vulkan/race.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/panels.h"
#include "runtime/vulkan/timed_runs.h"
#include "runtime/vulkan/transfers.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr int64_t kMatrixBytes = 32 << 20;  // at most, of few columns; a tile's threads have enough with far less
constexpr int64_t kTileColumns = 256, kTileRows = 1024;
constexpr double kShare = 1.0 / 12;       // of the time for one race: a model has about so many classes
constexpr double kSubmits = 6;            // of one candidate in its part of a race
constexpr uint32_t kWord = 0x2c2c2c2c;    // numbers in any format: an f16 scale is 0.065
constexpr uint32_t kOne = 0x3f800000;     // of rows, their scales and powers: zeros would be kind to clocks

int64_t rows_of_race(const TensorView& w, bool few) {
    const int64_t panels = std::min(w.rows, few ? w.rows : kTileRows) / kernels::kPanel;
    const int64_t most = kMatrixBytes / kernels::panel_bytes(w.format, w.cols);
    return std::max<int64_t>(1, std::min(panels, most)) * kernels::kPanel;
}

uint32_t tile_columns(const Tuning& t) {
    if (const auto* matrix = std::get_if<MatrixTuning>(&t)) return matrix->columns;
    return std::get<MatmulTuning>(t).columns;
}

TensorView view_of(VulkanBuffer& buffer, Format format, int64_t rows, int64_t cols, int64_t row_bytes, Layout layout) {
    TensorView v;
    v.buffer = &buffer;
    v.format = format;
    v.rows = rows;
    v.cols = cols;
    v.row_bytes = row_bytes;
    v.layout = layout;
    return v;
}

}  // namespace

// A matrix like the model's, fewer rows, and columns to multiply it with.
struct Race::Matter {
    std::shared_ptr<VulkanBuffer> weights, x, image, out;
    TensorView matrix, input, output;

    static Result<Matter> make(Queue& queue, const TensorView& like, int64_t columns) {
        const int64_t rows = rows_of_race(like, columns <= kMatvecColumns), k = like.cols;
        const int64_t panel = kernels::panel_bytes(like.format, k);
        Matter m;
        Transfers transfers(queue);
        const auto make = [&](std::shared_ptr<VulkanBuffer>& buffer, int64_t bytes, uint32_t word) -> Result<void> {
            LAP_ASSIGN(buffer, allocate_buffer(queue.context(), static_cast<uint64_t>(bytes), Memory::device, "a race of shaders"));
            return transfers.fill(*buffer, word);
        };
        LAP_TRY(make(m.weights, rows / kernels::kPanel * panel, kWord));
        LAP_TRY(make(m.x, columns * k * 4, kOne));
        LAP_TRY(make(m.image, static_cast<int64_t>(product_image_bytes(columns, k)), kOne));
        LAP_TRY(make(m.out, columns * rows * 4, kOne));
        m.matrix = view_of(*m.weights, like.format, rows, k, panel / kernels::kPanel, Layout::panels);
        m.input = view_of(*m.x, Format::f32, columns, k, k * 4, Layout::rows);
        m.output = view_of(*m.out, Format::f32, columns, rows, rows * 4, Layout::rows);
        return m;
    }
};

void Race::serve(const ShapeClass& shape, const Tuning& tuning, const Tuning& untuned) {
    products_.tune(shape, tuning);
    decided_[shape] = name(tuning) == name(untuned) ? std::nullopt : std::optional(untuned);
}

Result<void> Race::decide(const TensorView& weights, int64_t columns) {
    const auto shape = products_.class_of(weights, columns);
    if (!shape || decided_.contains(*shape)) return {};
    const std::vector<Tuning> candidates = products_.candidates(weights, columns);
    Verdicts& verdicts = trust_.verdicts();
    if (const auto known = verdicts.winner(name(*shape)))
        for (const Tuning& t : candidates)
            if (name(t) == *known) return serve(*shape, t, candidates[0]), Result<void>();
    decided_[*shape] = std::nullopt;
    const std::string test = concat("race ", name(*shape));
    const auto before = verdicts.of(test);
    if (weights.layout == Layout::rows || left_ <= 0 || (before && !before->passed)) return {};
    const Result<void> outcome = run(*shape, weights, candidates, columns <= kMatvecColumns ? 1 : kTileColumns);
    if (!outcome && outcome.error().code != Errc::out_of_memory) return outcome;  // without room there is no race this time
    return {};
}

// Announced like a test: a device that hangs in it is not raced again.
Result<void> Race::run(const ShapeClass& shape, const TensorView& weights, const std::vector<Tuning>& candidates, int64_t columns) {
    LAP_ASSIGN(const std::vector<Tuning> tunings, passing(shape, weights, candidates, columns));
    if (tunings.empty()) return {};
    Verdicts& verdicts = trust_.verdicts();
    const std::string test = concat("race ", name(shape));
    LAP_TRY(verdicts.begin(test));
    const double start = TimedRuns::now();
    Result<std::vector<double>> seconds = std::vector<double>();
    {
        const Result<Matter> matter = Matter::make(queue_, weights, columns);
        seconds = matter ? time(shape, *matter, tunings) : Result<std::vector<double>>(matter.error());
    }
    left_ -= TimedRuns::now() - start;
    if (!seconds && seconds.error().code == Errc::device_lost) return seconds.error();
    LAP_TRY(verdicts.finish(test, true, ""));
    if (!seconds) return seconds.error();
    const auto best = std::min_element(seconds->begin(), seconds->end());
    const Tuning& winner = tunings[static_cast<size_t>(best - seconds->begin())];
    const bool compared = name(tunings[0]) == name(candidates[0]);
    LAP_TRY(verdicts.record(name(shape), name(winner), compared ? seconds->front() / *best : 1.0));
    serve(shape, winner, candidates[0]);
    return {};
}

Result<std::vector<Tuning>> Race::passing(const ShapeClass& shape, const TensorView& weights, const std::vector<Tuning>& candidates,
                                          int64_t columns) {
    std::vector<Tuning> out;
    for (const Tuning& candidate : candidates) {
        Tuning t = candidate;
        ProductCase product{.format = weights.format, .k = weights.cols, .columns = columns};
        product.exact_inputs = !std::holds_alternative<MatrixTuning>(t) && !products_.wants_image(weights, columns);
        if (auto* matvec = std::get_if<MatvecTuning>(&t))
            matvec->groups = 0;  // as many panels in a workgroup as it says, though the test has few rows
        else
            product.columns = std::min<int64_t>(columns, tile_columns(t) * 3 / 4 - 1);
        LAP_ASSIGN(const bool passed, trust_.product(shape, t, product));
        if (passed) out.push_back(candidate);
    }
    return out;
}

Result<std::vector<double>> Race::time(const ShapeClass& shape, const Matter& matter, const std::vector<Tuning>& tunings) {
    const double start = TimedRuns::now(), share = seconds_ * kShare;
    const double submit = std::min(TimedRuns::kLongSubmit, share / static_cast<double>(tunings.size()) / kSubmits);
    Products products = products_;
    std::vector<std::unique_ptr<TimedRuns>> runs;
    for (Tuning t : tunings) {
        if (auto* matvec = std::get_if<MatvecTuning>(&t)) matvec->groups = 0;
        products.tune(shape, t);
        std::vector<Dispatch> dispatches;
        const MatmulPart part{.weights = matter.matrix, .out = matter.output};
        products.matmul({&part, 1}, matter.input, range_of(*matter.image, 0, matter.image->bytes), true, dispatches);
        runs.push_back(std::make_unique<TimedRuns>(queue_, pipelines_, std::move(dispatches.back())));
        LAP_TRY(runs.back()->settle(submit));
    }
    std::vector<double> best(tunings.size(), std::numeric_limits<double>::infinity());
    do {  // in turns, so that a clock that changes is none's advantage
        for (size_t i = 0; i < runs.size(); ++i) {
            LAP_ASSIGN(const double seconds, runs[i]->measure());
            best[i] = std::min(best[i], seconds);
        }
    } while (TimedRuns::now() - start < share);
    return best;
}

bool Race::fall_back(const ShapeClass& shape) {
    const auto found = decided_.find(shape);
    if (found == decided_.end() || !found->second) return false;
    const Tuning untuned = *found->second;
    serve(shape, untuned, untuned);
    (void)trust_.verdicts().record(name(shape), name(untuned), 1.0);  // unwritten, the next start finds out again
    return true;
}

}  // namespace lapidary::runtime::vulkan
