// Variables of the environment that stand in for options. Private to model/.
#pragma once

#include <cstdlib>
#include <string>

namespace lapidary {

// Empty where it is not set.
inline std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

}  // namespace lapidary
