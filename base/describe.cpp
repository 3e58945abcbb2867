// Quoting of what comes from files; see describe.h.
#include "base/describe.h"

#include "base/utf8.h"
#include "lapidary/printable.h"

namespace lapidary {

std::string in_quotes(std::string_view name, size_t limit, char quote) {
    const std::string_view shown = first_bytes(name, limit);
    return quote + printable(shown) + (shown.size() < name.size() ? "..." : "") + quote;
}

}  // namespace lapidary
