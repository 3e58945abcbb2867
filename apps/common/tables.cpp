// Layout of tables; see tables.h.
#include "apps/common/tables.h"

#include <fmt/format.h>

#include <algorithm>

namespace lapidary::cli {
namespace {

// Columns on screen: UTF-8 continuation bytes take none.
size_t width_of(const std::string& text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, size_t width, Align align) {
    const size_t own = width_of(text);
    const std::string blanks(width > own ? width - own : 0, ' ');
    return align == Align::left ? text + blanks : blanks + text;
}

}  // namespace

std::string Table::text() const {
    std::vector<size_t> widths(columns_.size(), 0);
    for (const auto& cells : rows_)
        for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width_of(cells[i]));
    std::string out;
    for (const auto& cells : rows_) {
        std::string line = " ";
        for (size_t i = 0; i < cells.size(); ++i)
            line += fmt::format("{}{}", i == 0 ? " " : "  ", padded(cells[i], widths[i], columns_[i]));
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

std::string markdown_row(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
    std::string line = "|";
    for (size_t i = 0; i < cells.size(); ++i)
        line += fmt::format(" {} |", padded(cells[i], widths[i], i == 0 ? Align::left : Align::right));
    return line + "\n";
}

}  // namespace lapidary::cli
