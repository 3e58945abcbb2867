// The trace file: Google's "Trace Event Format", complete events ("ph":"X", microseconds since the first one)
// and metadata events that name each process (a device) and track. Whole or absent, like every output.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/output_file.h"
#include "runtime/trace/recorder.h"

namespace lapidary::runtime {
namespace {

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

// Names a process, or a track of it.
std::string name_line(const char* what, size_t pid, int track, const std::string& name) {
    return concat(R"({"name":")", what, R"(","ph":"M","pid":)", pid, R"(,"tid":)", track, R"(,"args":{"name":)", quoted(name), "}}");
}

// Nanoseconds as a JSON number of microseconds, without rounding and whatever the locale.
std::string micros(int64_t ns) {
    char text[32];
    std::snprintf(text, sizeof text, "%lld.%03lld", static_cast<long long>(ns / 1000),
                  static_cast<long long>(ns % 1000));
    return text;
}

}  // namespace

Result<void> Recorders::write_trace(const std::filesystem::path& file) {
    int64_t origin_ns = INT64_MAX;
    for (const Named& r : recorders_) {
        r.recorder->layer("", -1);  // ends the last one
        for (const Recorder::Event& e : r.recorder->events_) origin_ns = std::min(origin_ns, e.begin_ns);
    }
    LAP_ASSIGN(OutputFile out, OutputFile::create(file));
    const auto put = [&](const std::string& text) { return out.write(text.data(), text.size()); };
    LAP_TRY(put(concat(R"({"displayTimeUnit":"ms","otherData":{"writer":"lapidary","dropped_events":)", dropped_events(),
                       "},\"traceEvents\":[\n")));
    const char* comma = "";
    const auto line = [&](const std::string& text) {
        return put(std::exchange(comma, ",\n") + text);
    };
    for (size_t i = 0; i < recorders_.size(); ++i) {
        const Recorder& r = *recorders_[i].recorder;
        if (r.events_.empty()) continue;
        std::vector<std::string> names;
        for (const std::string& name : r.names_) names.push_back(quoted(name));
        std::set<int> tracks;
        for (const Recorder::Event& e : r.events_) tracks.insert(e.track);
        LAP_TRY(line(name_line("process_name", i + 1, 0, recorders_[i].device)));
        for (const int track : tracks)
            LAP_TRY(line(name_line("thread_name", i + 1, track, track == 0 ? "layers" : concat("thread ", track - 1))));
        for (const Recorder::Event& e : r.events_)
            LAP_TRY(line(concat(R"({"name":)", names[e.name], R"(,"ph":"X","pid":)", i + 1, R"(,"tid":)", e.track, R"(,"ts":)",
                                micros(e.begin_ns - origin_ns), R"(,"dur":)", micros(e.duration_ns), R"(,"args":{"layer":)",
                                e.layer, "}}")));
    }
    LAP_TRY(put("\n]}\n"));
    return out.commit();
}

}  // namespace lapidary::runtime
