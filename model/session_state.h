// One sequence: its ids, its picture and sound rows, and how far the cache has got. Private to model/.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "model/engine_state.h"

namespace lapidary {

struct Session::State {
    std::shared_ptr<Engine::State> engine;
    model::KvCache kv;
    std::vector<int32_t> ids;          // the whole sequence; [computed, size) is queued
    std::vector<model::SoftRows> soft; // ascending positions
    struct Pending {                   // soft[index].rows are computed before they are needed
        size_t index;
        std::shared_ptr<const MediaRows> rows;
    };
    std::vector<Pending> pending;
    int32_t computed = 0;              // positions whose keys and values are in the cache
    int32_t stored = 0;                // highest position ever written since the cache was empty, >= computed
    int32_t delivered = 0;             // tokens below were computed once: `forward` gives no rows for them
    bool starts_in_thought = false;    // of the next reply
    model::Step step;                  // reused from step to step

    int32_t size() const { return static_cast<int32_t>(ids.size()); }
    int32_t context() const { return kv.context(); }

    // Computes every queued token. `all`: logits of each queued row, else of the last one.
    Result<void> compute(bool all, const model::RowSink& sink, const std::stop_token& cancel);
    // Makes position `target` (or an earlier one the cache can go back to) the next to be computed.
    void roll_back(int32_t target);
    Result<void> rewind(int32_t position);

  private:
    Result<void> compute_media();
    Result<void> compute_step(int32_t end, int32_t rows_wanted, const model::RowSink& sink,
                              const std::stop_token& cancel);
};

// Wall-clock seconds since it was made.
class Stopwatch {
  public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace lapidary
