// The time of day, for what is kept in files.
#pragma once

#include <string>

namespace lapidary {

// Now, as "2026-01-02T03:04:05Z" (ISO 8601).
std::string utc_now();

}  // namespace lapidary
