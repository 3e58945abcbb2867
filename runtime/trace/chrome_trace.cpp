// The trace file: Google's "Trace Event Format", complete events ("ph":"X", microseconds since the first one)
// and a metadata event that names each track. Whole or absent, like every output.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "base/try.h"
#include "runtime/file/output_file.h"
#include "runtime/trace/recorder.h"

namespace lapidary::runtime {
namespace {

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string track_line(int track) {
    const std::string name = track == 0 ? "layers" : "thread " + std::to_string(track - 1);
    return R"({"name":"thread_name","ph":"M","pid":1,"tid":)" + std::to_string(track) + R"(,"args":{"name":)" +
           quoted(name) + "}}";
}

// Nanoseconds as a JSON number of microseconds, without rounding and whatever the locale.
std::string micros(int64_t ns) {
    char text[32];
    std::snprintf(text, sizeof text, "%lld.%03lld", static_cast<long long>(ns / 1000),
                  static_cast<long long>(ns % 1000));
    return text;
}

}  // namespace

Result<void> Recorder::write_trace(const std::filesystem::path& file) const {
    std::vector<std::string> names;
    for (const std::string& name : names_) names.push_back(quoted(name));
    std::set<int> tracks;
    int64_t origin_ns = INT64_MAX;
    for (const Event& e : events_) {
        tracks.insert(e.track);
        origin_ns = std::min(origin_ns, e.begin_ns);
    }
    LAP_ASSIGN(OutputFile out, OutputFile::create(file));
    const auto put = [&](const std::string& text) { return out.write(text.data(), text.size()); };
    LAP_TRY(put("{\"displayTimeUnit\":\"ms\",\"otherData\":{\"writer\":\"lapidary\",\"dropped_events\":" + std::to_string(dropped_) +
                "},\"traceEvents\":[\n"));
    const char* comma = "";
    for (const int track : tracks) {
        LAP_TRY(put(comma + track_line(track)));
        comma = ",\n";
    }
    for (const Event& e : events_) {
        LAP_TRY(put(comma + (R"({"name":)" + names[e.name]) + R"(,"ph":"X","pid":1,"tid":)" + std::to_string(e.track) +
                    R"(,"ts":)" + micros(e.begin_ns - origin_ns) + R"(,"dur":)" + micros(e.duration_ns) +
                    R"(,"args":{"layer":)" + std::to_string(e.layer) + "}}"));
    }
    LAP_TRY(put("\n]}\n"));
    return out.commit();
}

}  // namespace lapidary::runtime
