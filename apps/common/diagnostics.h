// --profile and --trace FILE: what the engine recorded while it worked, as a table on stderr, as JSON, as a file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/command.h"
#include "apps/common/output.h"
#include "apps/common/results.h"
#include "lapidary/tools.h"

namespace lapidary::cli {

struct Diagnostics {
    bool profile = false;
    std::optional<std::string> trace;
    bool force = false;  // --force: the verb's files may replace others
};
void add_diagnostic_options(Command& command, Diagnostics& options);
// Makes the engine record what was asked for. An error where the trace would replace a file that is none, or one
// of the inputs.
Result<void> request(const Diagnostics& options, const Inputs& inputs, EngineOptions& engine);

// "matmul gate+up  sliding  40 ..." with a heading, most time first.
std::string profile_table(const std::vector<ProfileRow>& rows, const std::string& untimed);
// Where some are missing, `untimed` (ModelInfo) says why: the last line, or "profile_missing" beside "profile".
void add_profile(nlohmann::ordered_json& json, const std::vector<ProfileRow>& rows, const std::string& untimed);

// Before the result of a verb: the table (not with --json: there it belongs into the result) and the trace file.
Result<void> deliver(const Console& console, const Diagnostics& options, const Engine& engine);
void note_trace(const Console& console, const std::string& file, const TraceReport& report);

}  // namespace lapidary::cli
