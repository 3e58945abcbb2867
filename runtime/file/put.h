// Numbers as files hold them and as they lie in memory: every format and all our machines are little-endian.
#pragma once

#include <string>

namespace lapidary::runtime {

template <class T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace lapidary::runtime
