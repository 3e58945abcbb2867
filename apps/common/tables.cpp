// Layout of tables; see tables.h.
#include "apps/common/tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/common/text_width.h"
#include "lapidary/printable.h"

namespace lapidary::cli {
namespace {

std::string padded(const std::string& text, size_t width, Align align) {
    const size_t own = text_width(text);
    const std::string blanks(width > own ? width - own : 0, ' ');
    return align == Align::left ? text + blanks : blanks + text;
}

}  // namespace

void Table::row(std::vector<std::string> cells) {
    for (std::string& cell : cells) cell = printable(cell);
    rows_.push_back(std::move(cells));
}

std::string Table::text() const {
    std::vector<size_t> widths(columns_.size(), 0);
    for (const auto& cells : rows_)
        for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], text_width(cells[i]));
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
    for (size_t i = 0; i < cells.size(); ++i) {
        std::string cell;
        for (const char c : printable(cells[i])) cell += c == '|' ? std::string("\\|") : std::string(1, c);
        line += fmt::format(" {} |", padded(cell, widths[i], i == 0 ? Align::left : Align::right));
    }
    return line + "\n";
}

}  // namespace lapidary::cli
