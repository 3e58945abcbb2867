// The table of a profile and the trace file; see diagnostics.h.
#include "apps/common/diagnostics.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/common/tables.h"
#include "base/try.h"
#include "lapidary/printable.h"

namespace lapidary::cli {
namespace {

// 24 bytes each in memory, about 100 in the file: some hundred decoded tokens of the 12B on two threads.
constexpr size_t kTraceEvents = size_t{1} << 18;

std::string rate(double value) { return value > 0 ? fmt::format("{:.1f}", value) : "-"; }

// As every trace of ours begins; see Recorders::write_trace().
constexpr std::string_view kBegin = R"({"displayTimeUnit":"ms","otherData":{"writer":"lapidary",)";

}  // namespace

void add_diagnostic_options(Command& command, Diagnostics& options) {
    command.flag("--profile", options.profile, "time per operation and kind of layer, on stderr or in the JSON");
    command.text("--trace", options.trace, "FILE", "a trace for Perfetto or chrome://tracing");
    command.flag("--force", options.force, "write over a file that is something else");
}

Result<void> request(const Diagnostics& options, const Inputs& inputs, EngineOptions& engine) {
    if (options.trace) {
        LAP_TRY(check_target(*options.trace));
        LAP_TRY(inputs.check("--trace", options.trace));
        const auto is_trace = [](const auto& path) { return beginning_of(path, kBegin.size()) == kBegin; };
        LAP_TRY(check_overwrite(*options.trace, {"a trace of this program", is_trace}, options.force));
    }
    engine.research.profile = options.profile;
    engine.research.trace_events = options.trace ? kTraceEvents : 0;
    return {};
}

std::string profile_table(const std::vector<ProfileRow>& rows, const std::string& untimed) {
    const std::string missing = untimed.empty() ? "" : "  " + printable(untimed) + "\n";
    if (rows.empty() && !missing.empty()) return missing;
    Table table({Align::left, Align::left, Align::right, Align::right, Align::right, Align::right, Align::right,
                 Align::right, Align::right});
    table.row({"operation", "layers", "calls", "ms", "share", "GB/s", "GMAC/s", "wait ms", "idle ms"});
    double seconds = 0, wait = 0, idle = 0;
    for (const ProfileRow& r : rows) {
        table.row({r.op, r.device.empty() ? r.layer : fmt::format("{} ({})", r.layer, printable(r.device)), fmt::format("{}", r.count), fmt::format("{:.2f}", r.seconds * 1e3),
                   fmt::format("{:.1f} %", r.share * 100), rate(r.gbps), rate(r.gmacs),
                   fmt::format("{:.2f}", r.wait_seconds * 1e3), fmt::format("{:.2f}", r.idle_seconds * 1e3)});
        seconds += r.seconds;
        wait += r.wait_seconds;
        idle += r.idle_seconds;
    }
    table.row({"all", "", "", fmt::format("{:.2f}", seconds * 1e3), "", "", "", fmt::format("{:.2f}", wait * 1e3),
               fmt::format("{:.2f}", idle * 1e3)});
    return table.text() +
           "  wait: the calling thread at barriers; idle: the other threads together, waking or out of work\n" + missing;
}

void add_profile(nlohmann::ordered_json& json, const std::vector<ProfileRow>& rows, const std::string& untimed) {
    auto& profile = json["profile"] = nlohmann::ordered_json::array();
    for (const ProfileRow& r : rows) {
        profile.push_back({{"op", r.op},
                           {"layer", r.layer},
                           {"count", r.count},
                           {"seconds", r.seconds},
                           {"share", r.share},
                           {"gbps", r.gbps},
                           {"gmacs", r.gmacs},
                           {"wait_seconds", r.wait_seconds},
                           {"idle_seconds", r.idle_seconds}});
        if (!r.device.empty()) profile.back()["device"] = r.device;
    }
    if (!untimed.empty()) json["profile_missing"] = untimed;
}

void note_trace(const Console& console, const std::string& file, const TraceReport& report) {
    const std::string dropped =
        report.dropped > 0 ? fmt::format("; {} later ones did not fit in memory", report.dropped) : "";
    console.note(fmt::format("trace: {} events in {}{}", report.events, file, dropped));
}

Result<void> deliver(const Console& console, const Diagnostics& options, const Engine& engine) {
    if (options.profile && !console.json) console.aside(profile_table(profile(engine), engine.info().untimed));
    if (!options.trace) return {};
    LAP_ASSIGN(const TraceReport report, write_trace(engine, *options.trace));
    note_trace(console, *options.trace, report);
    return {};
}

}  // namespace lapidary::cli
