// Rates of a machine as they were measured, in a file: one for each pair of processor and GPU, with an entry for each state of
// power. What was measured by another version, driver, level of kernels or number of threads is stale.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lapidary/result.h"
#include "runtime/plan/facts.h"

namespace lapidary::runtime {

// On what rates were measured. All of it but the power must be the same for them to be of use.
struct RatesKey {
    std::string version, cpu, isa;  // of this program; the processor; the kernels' level
    int threads = 0;
    std::string gpu, driver;        // empty: the CPU alone
    std::string power;              // "mains, balanced"
};

struct MeasuredRates {
    Rates cpu;
    std::optional<Rates> gpu;
    double handover_s = 0, meeting_s = 0;
    std::string time;               // UTC, ISO 8601
};

struct FoundRates {
    std::optional<MeasuredRates> rates;
    std::string power;              // in which they were measured
    std::string problem;            // why a file that is there is of no use, or only of some; empty: nothing to say
};

std::string rates_file_name(const RatesKey& key);  // "rates-<hash of cpu and gpu>.json"
// Never fails: what is damaged, stale or of another machine is named and passed over.
FoundRates read_rates(const std::filesystem::path& file, const RatesKey& key);
// The GPU of the youngest file of this folder that was measured beside this processor; empty: there is none.
std::string measured_gpu(const std::filesystem::path& folder, const std::string& cpu);
// Replaces the entry of the key's power; other entries stay if they are as young. io_error.
Result<void> write_rates(const std::filesystem::path& file, const RatesKey& key, const MeasuredRates& rates);

}  // namespace lapidary::runtime
