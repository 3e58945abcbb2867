// What an Engine and its Sessions share. Private to model/.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "lapidary/lapidary.h"
#include "model/access.h"
#include "model/forward.h"
#include "model/load/loader.h"
#include "model/media_memory.h"
#include "model/text/schema/grammar_cache.h"
#include "model/text/schema/token_trie.h"
#include "model/text/tokenizer.h"
#include "model/turns.h"
#include "runtime/cpu/make_cpu_device.h"
#include "runtime/plan/plan.h"
#include "runtime/trace/recorder.h"

namespace lapidary::model {

struct PromptData {
    std::string text;
    std::vector<int32_t> ids;
    bool starts_in_thought = false;
    struct Placed {
        int32_t first = 0, count = 0;  // indices of its soft tokens in ids
        std::shared_ptr<const MediaRows> rows;
    };
    std::vector<Placed> media;
};

// A device and the layers [first, last) that it computes, with the weights as it wants them. The first part has the
// embedding and the projections of pictures and sound, the last one the head.
struct DevicePart {
    std::unique_ptr<runtime::Device> device;
    int32_t first = 0, last = 0;
    std::string gpu = {};  // the name of a GPU, which may be lost; empty: the CPU
    Weights weights = {};
    Workspace workspace = {};
    runtime::Recorder* recorder = nullptr;  // that the device tells
    // Who takes the steps of up to kFewColumns columns instead, on the same cache and weights; null: nobody else does.
    std::unique_ptr<DevicePart> few = {};
};
inline constexpr int32_t kFewColumns = 8;

// The devices of an engine and what each computes, without weights yet. After a loss a GPU gets its work in shorter pieces.
enum class Attempt : uint8_t { first, after_loss };
using PartsMaker = std::function<Result<std::vector<DevicePart>>(const EngineOptions&, const LoadedModel&, Attempt)>;

struct SessionState;

struct EngineState {
    EngineOptions options;
    LoadedModel loaded;  // its weights are sources, of which some are given back; its media parts may come later
    std::mutex media_lock;
    MediaMemory media;
    std::optional<Tokenizer> tokenizer;
    // The tokens as trees of bytes; made when a reply is first held to a schema. Needs the tokenizer.
    const TokenTrie& token_trie() const;
    mutable std::mutex trie_lock;
    mutable std::unique_ptr<const TokenTrie> trie;
    mutable GrammarCache grammars;  // that hold replies
    PartsMaker make_parts;
    std::vector<DevicePart> parts;  // in the order of their layers; none while a lost one is replaced
    uint64_t generation = 0;        // of the parts: caches of another one belong to devices that are gone
    Plan plan;
    mutable std::mutex parts_lock;  // for who reads or replaces these three; in a turn reading needs no lock
    runtime::MachineFacts machine;  // that was planned for
    runtime::PlannedPlacement placement;
    bool automatic = false;         // the planner chose the placement, and may choose another one
    bool may_move = false;          // to devices that have other weights; the files have what these need
    std::string power;              // the state of power that was planned for; empty: the devices are the caller's
    bool lost_before = false;
    mutable std::atomic<uint32_t> sessions_made = 0;
    std::unique_ptr<runtime::Recorders> recorders;  // null unless somebody profiles
    ModelInfo info;
    Turns turns;             // guards devices and workspaces
    // A session's caches are its own thread's, and in a turn anyone's. Without a turn touching them takes the lock.
    std::mutex caches_lock;
    std::set<SessionState*> sessions;
    std::chrono::steady_clock::time_point looked;  // at the machine's memory, last
    bool told_short = false;                       // of what was given back, since memory became short
    bool vision_placed = false, audio_placed = false;
    std::string identity;                 // of the model (model/load/identity.h); empty where nothing is computed
    uint64_t weight_bytes_per_token = 0;  // that one decoded token reads

    runtime::Device& device() const { return *parts.front().device; }
    // What decodes media calls this first: the model then takes them, or the error says why not. A projector that was
    // not there at the start joins `loaded`, whose media parts nobody reads who did not call this.
    Result<void> take_media(bool image, bool audio);
    // Who has a turn and rows of pictures or sound calls this before they are projected.
    Result<void> place_media();
    // Parts that `make` makes, with their weights, in place of the present ones.
    Result<void> set_up(const PartsMaker& make, bool with_weights, const ProgressSink& progress,
                        Attempt attempt = Attempt::first);
    // Who has a turn calls this before he computes: an engine that could not replace its device tries it again.
    Result<void> ready();
    // Who has a turn and got device_lost calls this: the parts are made again, the second time on the CPU. The memory of
    // the lost ones should be gone. Returns the error where no part can be lost or the weights are nowhere else.
    Result<void> recover(const Error& lost);
    // Who has a turn calls this before memory grows by so many bytes (0: it does not) for a step of so many columns. Where
    // the machine is short of memory, what the engine can do without is given back; does_not_fit where that is not enough.
    // Nothing has changed then for the session.
    Result<void> make_room(int32_t columns, uint64_t grows);
    // Of sessions that have not computed since: they compute again what they had. The bytes that were given back.
    uint64_t drop_caches(std::chrono::steady_clock::time_point unused_since);
    uint64_t drop_checkpoints();  // the next turns of their sessions begin anew
    bool in_host_memory(const DevicePart& part) const;
    // Who has a turn and begins with a prompt calls this: another state of power renews the plan, and may move the model.
    Result<void> follow_power();
    // By the rates of now; `here`: of the present placement and no other.
    Result<runtime::Plan> plan_again(bool here) const;
    void publish(const runtime::Plan& made);
    void tell(const std::string& note) const;  // the user, by options.note
    runtime::KvFormat kv_format() const;
};

}  // namespace lapidary::model

namespace lapidary {

// The loader's form of the options.
model::LoadOptions load_options(const EngineOptions& options);

// bad_model_file when the model came without a usable tokenizer.
Result<const model::Tokenizer*> tokenizer_of(const model::EngineState& state);

// What a public call returns when operator new failed inside it: nothing is thrown across the API.
Error memory_ran_out();

// The level named, or LAPIDARY_CPU's, or the best.
Result<const kernels::KernelTable*> kernel_table(const std::string& wanted);

// `wanted`, or LAPIDARY_THREADS, or every performance core this process may use.
Result<int> thread_count(int wanted);

// Threads of long and of short steps; both named.
Result<runtime::PhaseThreads> phase_threads(const EngineOptions& options);

// Of every format that stands in panels once it is placed.
std::vector<PanelKernels> panel_kernels(const runtime::Device& device, const model::Weights& weights);

// Options that no model could be opened with; looks for no device.
Result<void> check_options(const EngineOptions& options);
// Everything in the options that needs no weights to be refused, for a model made for so many positions.
Result<void> check_engine(const EngineOptions& options, int32_t model_context);

// Whether weights move into the layout that the kernels want: not for those who only look at a model.
enum class Packing { now, never };

using model::Attempt;
using model::PartsMaker;
Result<std::vector<model::DevicePart>> cpu_part(const EngineOptions& options, const model::LoadedModel& loaded,
                                                Attempt attempt = Attempt::first);
// shared_weights: the CPU may compute with them too.
Result<std::vector<model::DevicePart>> gpu_part(const EngineOptions& options, const model::LoadedModel& loaded,
                                                Attempt attempt = Attempt::first, bool shared_weights = false);
// Those of a plan: the CPU's part in front, the GPU's with the head behind it.
Result<std::vector<model::DevicePart>> planned_parts(const runtime::PlannedPlacement& placement, const EngineOptions& options,
                                                     const model::LoadedModel& loaded, Attempt attempt);

// What options and environment ask for, and which GPU. automatic: the planner chooses.
struct AskedPlacement {
    Placement placement = Placement::cpu;
    std::string device = {};
    std::optional<uint32_t> gpu_layers = {};  // of split; not 0
    std::optional<double> gpu_share = {};
    bool needs_gpu() const { return placement != Placement::automatic && placement != Placement::cpu; }
};
Result<AskedPlacement> asked_placement(const EngineOptions& options);

// The machine's memory just now. An engine that was opened with memory_bytes has had what is free settled: limits alone count.
struct Room {
    uint64_t left = 0;       // that this process may still take; of an unknown machine more than there is
    uint64_t total = 0;
    std::string limited_by;  // "free memory", "the limit of 2.00 GiB of /sys/fs/cgroup/a"
    uint64_t reserve = 0;    // half of the floor that plans leave alone: below it others have taken it
};
Room room_of(const EngineOptions& options, bool opened);

// This machine as a planner sees it just now, with a GPU where one is asked for.
Result<runtime::MachineFacts> this_machine(const EngineOptions& options);
runtime::Wishes wishes_of(const EngineOptions& options, const AskedPlacement& asked, int32_t layers, uint32_t context);
Result<runtime::ModelFacts> facts_of(const EngineOptions& options, const model::LoadedModel& loaded, uint32_t context);
// `only`: this placement and no other.
Result<runtime::Plan> plan_for(const EngineOptions& options, const model::LoadedModel& loaded, uint32_t context,
                               const runtime::MachineFacts& machine, const runtime::PlannedPlacement* only = nullptr);
Plan public_plan(const runtime::Plan& plan, const model::LoadedModel& loaded, const std::string& type, const std::string& machine);
// does_not_fit when memory is too short just now for the keys and values of one more session.
Result<void> check_room(const model::EngineState& engine);
Error refusal(const Plan& plan);  // does_not_fit, with its remedies
// That a session gets; invalid_argument beyond what the model or this version holds.
Result<uint32_t> context_of(const EngineOptions& options, int32_t model_context);
// The format that holds most of the bytes of the layers' matrices.
std::string commonest_type(const model::Weights& weights);
// Where a GPU's compiled shaders and verdicts are kept. Empty: nowhere.
std::filesystem::path cache_folder(const EngineOptions& options);

// Builds an engine around a model that is already loaded (files or synthetic weights). `started` is when
// loading began.
Result<Engine> make_engine(const EngineOptions& options, model::LoadedModel loaded,
                           std::chrono::steady_clock::time_point started, Packing packing = Packing::now,
                           const PartsMaker& make_parts = {});  // empty: as planned

}  // namespace lapidary
