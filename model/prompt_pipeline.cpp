// A long prompt through an engine of several parts: while one device has a chunk, the one before it has the next.
#include <algorithm>
#include <new>
#include <vector>

#include "base/try.h"
#include "model/session_state.h"
#include "runtime/pipeline.h"

namespace lapidary::model {
namespace {

// How long devices wait for each other, for profiles and traces.
class WaitRecorder final : public runtime::PipelineObserver {
  public:
    explicit WaitRecorder(const std::vector<DevicePart>& parts) : parts_(parts) {}
    void happened(const runtime::PipelineEvent&) override {}
    void waits(size_t stage) override {
        if (runtime::Recorder* recorder = parts_[stage].recorder) {
            recorder->layer("hand-over", -1);
            recorder->begin("wait");
        }
    }
    void goes_on(size_t stage, const runtime::PipelineEvent&) override {
        if (runtime::Recorder* recorder = parts_[stage].recorder) recorder->end({});
    }

  private:
    const std::vector<DevicePart>& parts_;
};

}  // namespace

Result<void> SessionState::compute_chunks(int32_t tokens, const Wanted& of_row, const RowSink& sink, const ChunkWatch& go_on,
                                          const std::stop_token& cancel) {
    std::vector<int32_t> bounds = {computed};  // chunk c has positions [bounds[c], bounds[c + 1])
    while (bounds.back() < size()) bounds.push_back(chunk_end(bounds.back(), size(), tokens, soft));
    int32_t widest = 0;
    for (size_t c = 1; c < bounds.size(); ++c) widest = std::max(widest, bounds[c] - bounds[c - 1]);
    LAP_TRY(make_room(computed, size(), widest));
    const auto step_of = [&](int32_t begin, int32_t end) {
        return Step{.position = begin,
                    .ids = std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                    .soft = soft,
                    .rows_wanted = end == size() ? 1 : 0,
                    .candidates = of_row.candidates,
                    .mask = of_row.mask,
                    .blocks_everywhere = engine->options.research.vision_blocks_everywhere};
    };
    std::vector<const float*> left(caches.size());  // the residual behind each part, until the next one has taken it
    const auto work = [&](size_t part, const runtime::PipelineChunk& chunk) -> Result<void> {
        const int32_t begin = bounds[static_cast<size_t>(chunk.number)], end = bounds[static_cast<size_t>(chunk.number) + 1];
        LAP_ASSIGN(const Stage stage, stage_of(part, begin, end));
        if (part == 0) stored = std::max(stored, end);
        const auto watch = [&](int32_t layer) {
            if (chunk.stopping()) return false;
            return part == 0 ? go_on(begin, end, layer) : !cancel.stop_requested();
        };
        const Step step = step_of(begin, end);
        LAP_TRY(run_stage(stage, step, part == 0 ? nullptr : left[part - 1], watch, chunk.taken));
        if (part + 1 == left.size()) return {};
        LAP_ASSIGN(left[part], read_residual(stage, step));
        return {};
    };
    std::vector<runtime::PipelineStage> stages;
    for (size_t part = 0; part < caches.size(); ++part)
        stages.push_back([&work, part](const runtime::PipelineChunk& chunk) { return work(part, chunk); });
    WaitRecorder waits(engine->parts);
    const int32_t start = computed;
    const auto all = [&]() -> Result<void> {
        const runtime::PipelineEnd end = run_pipeline(static_cast<int32_t>(bounds.size()) - 1, stages,
                                                      [&] { return !engine->turns.others_wait(); }, &waits);
        computed = bounds[static_cast<size_t>(end.done)];
        if (!end.outcome) return end.outcome;
        if (computed < size()) return {};
        const int32_t begin = bounds[bounds.size() - 2];
        LAP_ASSIGN(const Stage last, stage_of(caches.size() - 1, begin, size()));
        return hand_out(last, step_of(begin, size()), sink);
    };
    Result<void> done;
    try {
        done = all();
    } catch (const std::bad_alloc&) {  // caught here, because the steps must be taken back
        done = memory_ran_out();
    } catch (...) {  // of a caller's sink
        roll_back(start);
        throw;
    }
    if (!done) roll_back(std::min(computed, size() - 1));  // keys and values of chunks that not all parts have computed
    else delivered = std::max(delivered, computed);
    return done;
}

}  // namespace lapidary::model
