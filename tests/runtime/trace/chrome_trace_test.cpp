// The trace file is JSON of the right shape, with times relative to the first event.
#include <doctest/doctest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/trace/recorder.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary::runtime;
using lapidary::test::read_file;
using lapidary::test::ScratchFolder;

TEST_CASE("chrome trace: tracks, slices and layers") {
    ScratchFolder folder;
    Recorders recorders(100);
    Recorder& recorder = recorders.of("CPU");
    const std::array<ThreadTimes, 2> times = {ThreadTimes{2'000'000, 2'001'500, 1}, ThreadTimes{2'000'250, 2'000'251, 1}};
    recorder.layer("sliding", 7);
    recorder.begin("odd \"name\"");
    recorder.phase({2'000'000, 2'002'000, times});
    recorder.end({0, 0});
    recorder.layer("output", -1);
    const auto file = folder.path() / "trace.json";
    REQUIRE(recorders.write_trace(file));
    const auto json = nlohmann::json::parse(read_file(file));
    CHECK(json["otherData"]["dropped_events"] == 0);
    int slices = 0, layers = 0, tracks = 0;
    for (const auto& e : json["traceEvents"]) {
        if (e["ph"] == "M") {
            ++tracks;
            continue;
        }
        CHECK(e["ph"] == "X");
        CHECK(e["args"]["layer"] == 7);
        if (e["tid"] == 0) {
            ++layers;
            CHECK(e["name"] == "sliding");
        } else {
            ++slices;
            CHECK(e["name"] == "odd \"name\"");
            CHECK(e["ts"] == doctest::Approx(e["tid"] == 1 ? 0.0 : 0.25));
            CHECK(e["dur"] == doctest::Approx(e["tid"] == 1 ? 1.5 : 0.001));
        }
    }
    CHECK(tracks == 4);  // and the process
    CHECK(slices == 2);
    CHECK(layers == 1);
}

TEST_CASE("chrome trace: no events make an empty list, a folder that is missing is an error") {
    ScratchFolder folder;
    Recorders recorders(0);
    REQUIRE(recorders.write_trace(folder.path() / "empty.json"));
    CHECK(nlohmann::json::parse(read_file(folder.path() / "empty.json"))["traceEvents"].empty());
    CHECK(!recorders.write_trace(folder.path() / "missing" / "x.json"));
}

TEST_CASE("chrome trace: every device is a process, and operations without phases are slices of its first thread") {
    ScratchFolder folder;
    Recorders recorders(100);
    int64_t at = 5'000'000;
    for (const char* device : {"CPU", "a GPU"}) {
        Recorder& recorder = recorders.of(device);
        CHECK(&recorder == &recorders.of(device));
        recorder.layer("hand-over", -1);
        recorder.begin("wait", at);
        recorder.end({}, at + 1'000'000);
        at += 500'000;
    }
    const auto totals = recorders.totals();
    REQUIRE(totals.size() == 2);
    CHECK(totals[0].device != totals[1].device);
    CHECK(recorders.events() == 2);
    REQUIRE(recorders.write_trace(folder.path() / "two.json"));
    const auto json = nlohmann::json::parse(read_file(folder.path() / "two.json"));
    std::vector<std::string> processes;
    std::vector<double> starts;
    for (const auto& e : json["traceEvents"]) {
        if (e["name"] == "process_name") processes.push_back(e["args"]["name"]);
        if (e["ph"] != "X" || e["tid"] == 0) continue;
        CHECK(e["name"] == "wait");
        CHECK(e["tid"] == 1);
        CHECK(e["pid"] == static_cast<int>(starts.size()) + 1);
        starts.push_back(e["ts"]);
    }
    CHECK(processes == std::vector<std::string>{"CPU", "a GPU"});
    CHECK(starts == std::vector<double>{0, 500});
}
