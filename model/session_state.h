// One sequence: its ids, its picture and sound rows, and how far the cache has got. Private to model/.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "model/engine_state.h"

namespace lapidary::model {

// What calls of SessionState::compute took, beside computing.
struct Effort {
    double wait_s = 0, sink_s = 0;  // for turns of other sessions; in the sink of rows
    int32_t tokens = 0;             // computed
};

// What is wanted of a row of scores.
struct Wanted {
    int32_t candidates = 0;               // the best so many; 0: all scores
    std::span<const uint32_t> mask = {};  // of those that may be among them, as Step::mask
};

struct SessionState {
    explicit SessionState(std::shared_ptr<EngineState> of);
    ~SessionState();

    std::shared_ptr<EngineState> engine;
    std::chrono::steady_clock::time_point used;  // by a step, last
    bool stays = false;                // what is computed is not given back: it is measured with
    std::vector<KvCache> caches;       // one per part of the engine; none: they were given back (EngineState::caches_lock)
    uint64_t generation = 0;           // of the parts that the caches belong to; 0: there are none
    std::vector<int32_t> ids;          // the whole sequence; [computed, size) is queued
    std::vector<SoftRows> soft;        // ascending positions
    struct Pending {                   // soft[index].rows are computed before they are needed
        size_t index;
        std::shared_ptr<const MediaRows> rows;
    };
    std::vector<Pending> pending;
    int32_t computed = 0;              // positions whose keys and values are in the cache
    int32_t stored = 0;                // highest position ever written since the cache was empty, >= computed
    int32_t delivered = 0;             // tokens below were computed once: `forward` gives no rows for them
    bool replying = false;             // a reply of this session is under way, whose sink may call back

    // Where the last reply began, kept for the next turn: its prompt parts from this sequence a few tokens in front of there.
    struct Checkpoint {
        std::vector<KvCheckpoint> rings;  // one per cache; none: no checkpoint was taken, or it was given back
        int32_t same = 0;                 // tokens below are those that the rings were computed with
        bool pending = false;             // the rings are to be copied back before anything is computed
        bool taken() const { return !rings.empty(); }
    } checkpoint;
    bool turn_begins = false;          // by Session::replace: a reply comes, and the next turn goes back to its beginning
    int32_t reply = -1;                // where such a reply begins, of which no checkpoint was taken yet

    int32_t size() const { return static_cast<int32_t>(ids.size()); }
    int32_t context() const { return static_cast<int32_t>(engine->info.context); }

    // Computes every queued token and hands out the rows of scores and residuals that `options` names, with what is wanted of
    // each.
    Result<void> compute(const ForwardOptions& options, const Wanted& of_row, const RowSink& sink, Effort& effort);
    // Makes position `target` (or an earlier one the cache can go back to) the next to be computed.
    void roll_back(int32_t target);
    Result<void> rewind(int32_t position);
    // Of a new session: as if these were computed, on made-up keys and values.
    Result<void> pretend(std::vector<int32_t> made_up);
    uint64_t read_bytes(int32_t position) const;  // of the caches, by one decoded token there
    Result<void> check_idle(const char* what) const;  // invalid_argument while it replies
    void begin_reply();           // at the end of the sequence: what a checkpoint is for
    void append(const PromptData& data, size_t from);  // its ids from there on, and the media among them
    void forget_caches();         // everything is to be computed again
    Result<void> make_caches();   // on the engine's parts of now, with nothing computed

  private:
    Result<void> keep_checkpoint(int32_t end);  // in a turn, before positions up to `end` are computed
    bool back_to_checkpoint(int32_t target);
    Result<void> renew_caches();  // where the engine's parts are others now
    Result<void> compute_media();
    DevicePart& part_of(size_t i, int32_t columns) const;  // of the engine, that takes steps of so many columns
    // In memory, for positions [begin, end) in steps of up to so many columns: before anything of them is computed.
    Result<void> make_room(int32_t begin, int32_t end, int32_t columns);
    // A part of the engine with its buffers and caches for positions [begin, end).
    Result<Stage> stage_of(size_t part, int32_t begin, int32_t end);
    // One step to `end`; `wanted` says what of it, and lacks where it begins.
    Result<void> compute_step(int32_t end, Step wanted, const RowSink& sink, const HiddenSink& hidden,
                              const runtime::StepWatch& go_on);
    // Steps of so many tokens until all is computed or others wait for their turn, each part of the engine at another one.
    // The last row is wanted. `go_on` is asked in front of each layer of the first part, in a step that ends there.
    using ChunkWatch = std::function<bool(int32_t begin, int32_t end, int32_t layer)>;
    Result<void> compute_chunks(int32_t tokens, const Wanted& of_row, const RowSink& sink, const ChunkWatch& go_on,
                                const std::stop_token& cancel);
};

// Until its end the session replies.
class Replying {
  public:
    explicit Replying(SessionState& session) : session_(session) { session_.replying = true; }
    ~Replying() { session_.replying = false; }
    Replying(const Replying&) = delete;
    Replying& operator=(const Replying&) = delete;

  private:
    SessionState& session_;
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

}  // namespace lapidary::model
