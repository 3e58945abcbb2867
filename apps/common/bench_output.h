// The rows of `bench` in the forms it prints: a Markdown table for people, csv, json (one array) and jsonl (one
// object per line) for programs. Every row carries every field, whatever the form.
#pragma once

#include <string>

#include "apps/common/output.h"
#include "lapidary/tools.h"

namespace lapidary::cli {

enum class BenchFormat { md, csv, json, jsonl };

class BenchPrinter {
  public:
    // `profile`: rows have a profile; printed in the form, or with md and csv as tables on stderr.
    // `steps`: there will be tests of columns, whose cost must stay in a narrow table.
    BenchPrinter(Console& console, BenchFormat format, bool profile, bool steps)
        : console_(console), format_(format), profile_(profile), steps_(steps), width_(console.table_width()) {}

    // Each as it is measured; json waits for finish(), so that an error leaves no half array.
    void row(const BenchRow& row);
    void finish();

  private:
    Console& console_;
    BenchFormat format_;
    bool profile_, steps_;
    size_t width_;  // of a terminal when the first row is due; 0: no limit
    bool first_ = true;
    std::vector<BenchRow> rows_;  // json
};

nlohmann::ordered_json bench_json(const BenchRow& row, bool profile);
// A header line, or the values of one row: comma separated, quoted where they must be; lists joined by spaces.
std::string csv_line(const nlohmann::ordered_json& row, bool header);

}  // namespace lapidary::cli
