// Decides where every layer, cache and buffer of a model lives. A pure function: no device is asked and no file read, so it
// can be tested with invented laptops.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/plan/facts.h"

namespace lapidary::runtime {

struct PlannedPlacement {
    PlacementKind kind = PlacementKind::cpu;
    int32_t gpu_layers = 0;  // of the last layers; all of them: gpu. Only of kinds cpu, gpu, layers
    double gpu_share = 0;    // of rows
    std::optional<double> few_share = {};  // in steps of up to 8 columns, where that is another: weights are then in shared memory
    double share(int64_t columns) const { return columns <= kFewColumns ? few_share.value_or(gpu_share) : gpu_share; }
    bool operator==(const PlannedPlacement&) const = default;
};
std::string describe(const PlannedPlacement& placement, int32_t layers);  // "layers 0-17 on the CPU, 18-47 on the GPU"

enum class Where : uint8_t { cpu, gpu, shared };  // shared: one memory that both devices see
const char* name(Where where);

struct Region {
    std::string name;
    Where where = Where::cpu;
    uint64_t bytes = 0;
    std::string note = {};
};

struct Speed {  // tokens per second; 0: not known
    double prefill = 0, decode = 0;
};

struct Remedy {
    std::string text;         // what to do, in words of the command line
    uint64_t saves = 0;       // bytes
    bool enough = false;      // alone
};

struct Plan {
    bool fits = false;
    PlannedPlacement placement;
    KvFormat kv = KvFormat::f16;
    int32_t context = 0;
    uint64_t budget_bytes = 0, total_bytes = 0;          // of the machine's memory
    uint64_t gpu_budget_bytes = 0, gpu_bytes = 0;        // of the GPU's, which on unified memory is part of it
    std::vector<Region> regions;
    Speed expected;
    double full_decode = 0;            // tokens per second at the end of the context; 0: not known
    std::vector<std::string> why;      // a sentence for each decision
    std::vector<Remedy> remedies;      // where it does not fit: the three that cost least
    struct Option {                    // the best of each allowed kind
        PlannedPlacement placement;
        bool fits = false;
        Speed expected;
        double seconds = 0;            // of the request; 0: not known
    };
    std::vector<Option> options;
};

// Under 50 ms. Never fails: what does not fit says so. At least one kind must be allowed; kinds that need a GPU are passed
// over where the machine has none, phases also where the GPU's memory is not the CPU's.
Plan make_plan(const ModelFacts& model, const MachineFacts& machine, const Wishes& wishes);

std::string gibibytes(uint64_t bytes);  // "6.48 GiB", and MiB below a tenth of it

// What make_plan compares: the memory and the time of one placement. For its tests, and for tables of all placements.
struct Footprint {
    std::vector<Region> regions;
    uint64_t host_bytes = 0, gpu_bytes = 0;  // of the machine's memory and of the GPU's budget; unified counts in both
};
Footprint footprint(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
                    const Wishes& wishes);
uint64_t budget_of(const MachineFacts& machine, const Wishes& wishes);
uint64_t floor_of(const MachineFacts& machine);  // of usable memory, what is left for everything else
bool fits(const Footprint& footprint, const MachineFacts& machine, const Wishes& wishes);
bool any_fits(const ModelFacts& model, const MachineFacts& machine, const Wishes& wishes);  // of all that is allowed

// Seconds of a prompt of `tokens` in front of which `position` are computed, and of one more token behind it. 0: the rates are
// not known.
double prefill_seconds(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
                       int64_t tokens, int64_t position = 0);
double decode_seconds(const ModelFacts& model, const MachineFacts& machine, const PlannedPlacement& placement, KvFormat kv,
                      int64_t position);

// Of PlacementKind::rows: the GPU's share of a step's products with which both devices end together. Empty: rates not known.
std::optional<double> balanced_share(const ModelFacts& model, const MachineFacts& machine, int64_t columns);

}  // namespace lapidary::runtime
