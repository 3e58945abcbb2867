// Threads of stages and what they wait for; see pipeline.h.
#include "runtime/pipeline.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace lapidary::runtime {
namespace {

class Line {
  public:
    Line(int32_t count, std::span<const PipelineStage> stages, const std::function<bool()>& more, PipelineObserver* observer)
        : stages_(stages), more_(more), observer_(observer), count_(count), progress_(stages.size()) {}

    // All chunks of one stage.
    void work(size_t stage) {
        try {
            for (int32_t chunk = 0; step(stage, chunk); ++chunk) continue;
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!thrown_) thrown_ = std::current_exception();
            stop();
        }
    }

    // Instead of all that was to come.
    void give_up(const Error& error) {
        const std::lock_guard lock(mutex_);
        failure_ = error;
        stop();
    }

    PipelineEnd end() const {
        if (thrown_) std::rethrow_exception(thrown_);
        return {progress_.back().finished, failure_ ? Result<void>(*failure_) : Result<void>()};
    }

  private:
    struct Progress {
        int32_t finished = 0, taken = 0;  // chunks
    };
    using Kind = PipelineEvent::Kind;

    bool step(size_t stage, int32_t chunk) {
        if (stage == 0 && (chunk >= count_ || (chunk > 0 && !more_()))) {
            const std::lock_guard lock(mutex_);
            count_ = std::min(count_, chunk);
            changed_.notify_all();
            return false;
        }
        if (stage > 0 && !await(stage, {Kind::finished, stage - 1, chunk})) return false;
        if (stage + 1 < stages_.size() && chunk > 0 && !await(stage, {Kind::taken, stage + 1, chunk - 1})) return false;
        const std::function<void()> taken = [&] { tell({Kind::taken, stage, chunk}); };
        const std::function<bool()> stopping = [this] {
            const std::lock_guard lock(mutex_);
            return stopped_;
        };
        const Result<void> done = stages_[stage]({chunk, taken, stopping});
        if (done) {
            tell({Kind::finished, stage, chunk});
            return true;
        }
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = done.error();  // later ones follow from it
        stop();
        return false;
    }

    bool has_happened(const PipelineEvent& e) const {
        const Progress& p = progress_[e.stage];
        return (e.kind == Kind::finished ? p.finished : p.taken) > e.chunk;
    }

    // False: it will not happen any more.
    bool await(size_t stage, const PipelineEvent& what) {
        std::unique_lock lock(mutex_);
        if (observer_) observer_->waits(stage);
        changed_.wait(lock, [&] { return stopped_ || has_happened(what) || what.chunk >= count_; });
        const bool go = !stopped_ && has_happened(what);
        if (observer_) observer_->goes_on(stage, what);
        return go;
    }

    void tell(const PipelineEvent& e) {
        const std::lock_guard lock(mutex_);
        Progress& p = progress_[e.stage];
        (e.kind == Kind::finished ? p.finished : p.taken) = e.chunk + 1;
        if (observer_) observer_->happened(e);
        changed_.notify_all();
    }

    void stop() {
        stopped_ = true;
        changed_.notify_all();
    }

    const std::span<const PipelineStage> stages_;
    const std::function<bool()>& more_;
    PipelineObserver* const observer_;
    std::mutex mutex_;  // of all below
    std::condition_variable changed_;
    int32_t count_;
    std::vector<Progress> progress_;
    bool stopped_ = false;
    std::optional<Error> failure_;
    std::exception_ptr thrown_;
};

}  // namespace

PipelineEnd run_pipeline(int32_t count, std::span<const PipelineStage> stages, const std::function<bool()>& more,
                         PipelineObserver* observer) {
    Line line(count, stages, more, observer);
    {
        std::vector<std::jthread> others;
        try {
            for (size_t i = 1; i < stages.size(); ++i) others.emplace_back([&line, i] { line.work(i); });
            line.work(0);
        } catch (const std::system_error&) {
            line.give_up({Errc::out_of_memory, "the system gives no thread for a second device", "close other programs"});
        }
    }
    return line.end();
}

}  // namespace lapidary::runtime
