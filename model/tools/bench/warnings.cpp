// Thresholds, each with its reason; see warnings.h.
#include "model/tools/bench/warnings.h"

#include <algorithm>
#include <cmath>

#include "model/tools/bench/statistics.h"

namespace lapidary::model {
namespace {

constexpr double kNoisySpread = 0.15;    // of a probe between repetitions
constexpr double kSlowFirst = 1.1;       // first repetition against the median of the others
constexpr double kAbovePeak = 1.02;      // median share of the int8 peak; above one, with room for noise
constexpr double kShortSeconds = 0.02;   // below, clocks and wake-ups are part of the figure
constexpr double kOtherLoad = 1.0;       // runnable threads beyond ours
constexpr double kSwitchesPerSecond = 50;  // per thread; an idle machine shows a few

std::string percent(double share) { return std::to_string(std::lround(100 * share)) + " %"; }

std::string tenths(double value) {
    const long n = std::lround(10 * value);
    return std::to_string(n / 10) + "." + std::to_string(n % 10);
}

// The spread of a probe: between the medians of repetitions, or within the only one.
double probe_spread(const std::vector<Repetition>& repetitions, double Probe::*what) {
    std::vector<double> values;
    for (const Repetition& r : repetitions) {
        std::vector<double> own;
        for (const Probe& p : r.probes) own.push_back(p.*what);
        if (repetitions.size() == 1) return spread(own);
        values.push_back(median(own));
    }
    return spread(values);
}

void about_the_machine(const std::vector<Repetition>& repetitions, std::vector<std::string>& out) {
    const double gbps = probe_spread(repetitions, &Probe::gbps), gmacs = probe_spread(repetitions, &Probe::gmacs);
    if (gbps > kNoisySpread) out.push_back("noisy machine: its bandwidth varied by " + percent(gbps));
    if (gmacs > kNoisySpread) out.push_back("noisy machine: its int8 peak varied by " + percent(gmacs));
}

void about_the_times(const std::vector<double>& seconds, std::vector<std::string>& out) {
    if (median(seconds) < kShortSeconds)
        out.push_back("too short: a repetition took " + tenths(1e3 * median(seconds)) + " ms");
    if (seconds.size() < 3) return;
    const double others = median({seconds.begin() + 1, seconds.end()});
    if (seconds.front() > kSlowFirst * others)
        out.push_back("slow first run: " + percent(seconds.front() / others - 1) + " above the median of the others");
    if (const int n = outliers(seconds); n > 0)
        out.push_back(std::to_string(n) + " of " + std::to_string(seconds.size()) + " repetitions are outliers");
}

// Nothing multiplies faster than the peak: then the probe is too slow for this CPU, or met another machine.
void about_the_peak(const std::vector<Repetition>& repetitions, const std::string& instruction,
                    std::vector<std::string>& out) {
    std::vector<double> shares;
    for (const Repetition& r : repetitions)
        for (const Piece& p : r.pieces) shares.push_back(p.peak_share());
    if (const double share = median(shares); share > kAbovePeak)
        out.push_back("the kernels reached " + percent(share) + " of the int8 peak beside them: its probe (" +
                      instruction + ") is wrong, or the machine changed between the two; trust no share of that peak");
}

}  // namespace

std::vector<std::string> bench_warnings(const std::vector<Repetition>& repetitions, const runtime::Conditions& before,
                                        const runtime::Conditions& after, int threads,
                                        const std::string& peak_instruction) {
    std::vector<std::string> out;
    std::vector<double> seconds;
    for (const Repetition& r : repetitions) seconds.push_back(r.seconds());
    about_the_machine(repetitions, out);
    about_the_times(seconds, out);
    about_the_peak(repetitions, peak_instruction, out);
    if (after.load > threads + kOtherLoad)
        out.push_back("other load: " + tenths(after.load) + " runnable threads in the last minute, " +
                      std::to_string(threads) + " of them ours");
    const double thread_seconds = std::max(1e-9, (after.at_seconds - before.at_seconds) * threads);
    const double switches =
        static_cast<double>(after.involuntary_switches - before.involuntary_switches) / thread_seconds;
    if (switches > kSwitchesPerSecond)
        out.push_back("other load: each thread lost its processor " + std::to_string(std::lround(switches)) +
                      " times per second");
    if (after.swapped_bytes > 0)
        out.push_back(std::to_string(after.swapped_bytes >> 20) + " MiB of this process are in swap");
    if (after.swapped_in_pages > before.swapped_in_pages)
        out.push_back("the machine read " + std::to_string(after.swapped_in_pages - before.swapped_in_pages) +
                      " pages from swap");
    if (!after.governor.empty() && after.governor != "performance")
        out.push_back("the frequency governor is " + after.governor + ", not performance");
    if (after.on_battery) out.push_back("running on battery");
    return out;
}

}  // namespace lapidary::model
