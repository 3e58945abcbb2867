// Completion scripts for the shells: verbs, the options of each, and values where they are few.
#pragma once

#include "apps/common/manual.h"

namespace lapidary::cli {

using CompletionScript = std::string (*)(const std::vector<VerbSummary>& verbs, const std::vector<HelpPage>& pages);
// bash, zsh or fish; null: no other is known.
CompletionScript completions_of(std::string_view shell);

}  // namespace lapidary::cli
