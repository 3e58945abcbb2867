// Plain tables for people: columns padded to their widest cell, numbers to the right.
#pragma once

#include <string>
#include <vector>

namespace lapidary::cli {

enum class Align { left, right };

class Table {
  public:
    explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}
    void row(std::vector<std::string> cells);  // what a terminal would obey is written out (printable.h)
    // Every row, indented by two spaces, without trailing blanks.
    std::string text() const;

  private:
    std::vector<Align> columns_;
    std::vector<std::vector<std::string>> rows_;
};

// "| a | b |": one row of a Markdown table, cells printable, without bars of their own, padded to the widths given.
std::string markdown_row(const std::vector<std::string>& cells, const std::vector<size_t>& widths);

}  // namespace lapidary::cli
