// What every loaded or refused model owes its caller, whatever file it came from.
#pragma once

#include "model/load/loader.h"
#include "tests/fuzz/target.h"

namespace lapidary::fuzz {

// Loads the model: every view must lie inside its buffer, and all sizes inside the files. `describe`: once
// more without weights, as `inspect` does.
void load_and_check(const model::LoadOptions& options, bool describe);

// A message of bearable length, in UTF-8 without control characters.
void check_error(const Error& error);

}  // namespace lapidary::fuzz
