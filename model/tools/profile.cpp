// The public face of the recorder: rows for tables, and the trace file.
#include <algorithm>

#include "base/try.h"
#include "lapidary/tools.h"
#include "model/engine_state.h"

namespace lapidary {

std::vector<ProfileRow> profile(const Engine& engine) {
    std::vector<ProfileRow> rows;
    const auto& recorders = model::Access::state(engine).recorders;
    if (!recorders) return rows;
    double all = 0;
    for (const runtime::OpTotals& t : recorders->totals()) {
        const double seconds = std::max(t.seconds, 1e-12);
        rows.push_back({t.op, t.layer, t.count, t.seconds, 0, static_cast<double>(t.bytes) / seconds * 1e-9,
                        t.macs / seconds * 1e-9, t.wait_seconds, t.idle_seconds, t.device});
        all += t.seconds;
    }
    for (ProfileRow& row : rows) row.share = row.seconds / std::max(all, 1e-12);
    return rows;
}

Result<TraceReport> write_trace(const Engine& engine, const std::filesystem::path& file) {
    const auto& recorders = model::Access::state(engine).recorders;
    if (!recorders || model::Access::state(engine).options.research.trace_events == 0)
        return Error{Errc::invalid_argument, "the engine kept no events to write to " + file.string(),
                     "open it with ResearchOptions::trace_events above zero"};
    LAP_TRY(recorders->write_trace(file));
    return TraceReport{recorders->events(), recorders->dropped_events()};
}

}  // namespace lapidary
