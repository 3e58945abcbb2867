// The help as text; see help.h.
#include "apps/common/help.h"

#include <fmt/format.h>

#include "apps/common/text_width.h"

namespace lapidary::cli {
namespace {

constexpr size_t kNameColumn = 27;  // "  -p, --prompt TEXT" ends before it, mostly

}  // namespace

std::string wrapped(std::string_view text, size_t width, size_t indent, size_t used) {
    std::string out;
    bool fresh = true;  // no word on this line yet
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
        const std::string word(text.substr(begin, end - begin));
        begin = end + 1;
        if (word.empty()) continue;
        const size_t needed = text_width(word) + (fresh ? 0 : 1);
        if (!fresh && used + needed > width) {
            out += fmt::format("\n{:{}}", "", indent);
            used = indent;
            fresh = true;
        }
        out += fmt::format("{}{}", fresh ? "" : " ", word);
        used += text_width(word) + (fresh ? 0 : 1);
        fresh = false;
    }
    return out;
}

std::string usage_line(const HelpPage& page) {
    return fmt::format("lapidary {}{}{}", page.verb, page.usage.empty() ? "" : " ", page.usage);
}

std::string help_text(const HelpPage& page, size_t width) {
    std::string text = fmt::format("{}\n{}\n", usage_line(page), wrapped(page.summary, width, 0, 0));
    for (const HelpEntry& entry : page.entries) {
        if (entry.names.empty()) {
            text += fmt::format("\n{}\n", wrapped(entry.title, width, 0, 0));
            continue;
        }
        std::string names = fmt::format("  {}", fmt::join(entry.names, ", "));
        if (!entry.metavar.empty()) names += " " + entry.metavar;
        text += fmt::format("{:<{}} ", names, kNameColumn);
        const size_t used = std::max(names.size(), kNameColumn) + 1;
        text += wrapped(entry.description, width, kNameColumn + 1, used) + "\n";
    }
    return text;
}

}  // namespace lapidary::cli
