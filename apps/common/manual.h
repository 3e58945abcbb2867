// The manual page lapidary(1), in the macros that man and mandoc read.
#pragma once

#include "apps/common/help.h"

namespace lapidary::cli {

struct VerbSummary {
    std::string name, summary;
};
std::string manual_page(const std::vector<VerbSummary>& verbs, const std::vector<HelpPage>& pages,
                        std::string_view version);

}  // namespace lapidary::cli
