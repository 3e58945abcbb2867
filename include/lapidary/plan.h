// Where the parts of a model live, what that takes and how fast it should be. Same rules as lapidary.h, which includes this.
// Units: bytes, tokens per second.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lapidary {

struct PlanRegion {
    std::string name, where;        // where: cpu, gpu, or shared: memory that both devices see
    uint64_t bytes = 0;
    std::string note;
};
struct PlanLayers {                 // layers [first, last] and the device that computes them
    int32_t first = 0, last = 0;
    bool gpu = false;
};
struct PlanRemedy {                 // against not fitting
    std::string text;               // in words of the command line
    uint64_t saves_bytes = 0;
    bool enough = false;            // it alone would do
};
struct PlanOption {                 // the best of a kind of placement
    std::string kind, text;         // cpu, gpu, layers, rows, phases; "layers 0-17 on the CPU, 18-47 on the GPU"
    bool fits = false;
    double prefill_tps = 0, decode_tps = 0;  // 0: not measured
    double prefill_share = 0, decode_share = 0;  // of rows on the GPU, for prompts and replies; other kinds: 0
};

// A decision of the planner: memory is allocated as it says.
struct Plan {
    std::string model, type, machine;
    bool fits = false;
    uint64_t budget_bytes = 0, total_bytes = 0;    // of the machine's memory
    uint64_t gpu_budget_bytes = 0, gpu_bytes = 0;  // of the GPU's, on unified memory a part of it; 0: no GPU is looked at
    uint32_t context = 0;
    std::string kv;                 // f32, f16 or q8_0
    PlanOption placement;           // its rates: of a short request, 512 tokens of prompt and 128 of reply
    double full_decode_tps = 0;     // of the last token of a full context; 0: not measured
    std::vector<PlanOption> options;  // what was compared, with `placement` among them
    std::vector<PlanRegion> regions;
    std::vector<PlanLayers> layers;
    std::vector<std::string> why;   // a sentence for each decision
    std::vector<PlanRemedy> remedies;  // where it does not fit: the three that cost least
};

}  // namespace lapidary
