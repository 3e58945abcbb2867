// The schema of `bench`; see bench_output.h.
#include "apps/common/bench_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/common/arguments.h"
#include "apps/common/diagnostics.h"
#include "apps/common/help.h"
#include "apps/common/tables.h"
#include "lapidary/printable.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

// What a test does not measure is null, not zero.
Json measured(double value) { return value > 0 ? Json(value) : Json(nullptr); }

std::string percent(double share) { return share > 0 ? fmt::format("{:.0f}", share) : "-"; }

// ms: of a generated token (median), of a step of columns, until the first token. cost: of a step, and the limit.
std::string milliseconds(const BenchRow& row) {
    const double ms = row.columns > 0 ? row.step_ms : (row.n_gen > 0 ? row.token_p50_ns : row.ttft_ns) * 1e-6;
    return fmt::format("{:.1f}", ms);
}
std::string cost(const BenchRow& row) {
    if (row.columns == 0) return "";
    return row.cost_allowed > 0 ? fmt::format("{:.2f} ≤ {:.2f}", row.cost_ratio, row.cost_allowed) : fmt::format("{:.2f}", row.cost_ratio);
}
std::string threads(const BenchRow& row) {
    return row.prefill_threads == row.decode_threads ? fmt::format("{}", row.threads)
                                                     : fmt::format("{}/{}", row.prefill_threads, row.decode_threads);
}
std::string depth(const BenchRow& row) { return row.depth > 0 ? fmt::format(" @ d{}", row.depth) : ""; }

// Rows appear as they are measured, so the widths are fixed. The higher `leaves`, the earlier a column makes room
// on a narrow terminal; 0 stays.
struct Column {
    const char* name;
    size_t width;
    int leaves;
    std::string (*cell)(const BenchRow&);
};
const std::vector<Column> kColumns = {
    {"model", 18, 9, [](const BenchRow& r) { return r.model; }},
    {"type", 6, 8, [](const BenchRow& r) { return r.type; }},
    {"threads", 7, 3, threads},
    {"test", 14, 0, [](const BenchRow& r) { return r.test + depth(r); }},
    {"t/s", 17, 0, [](const BenchRow& r) { return fmt::format("{:.2f} ± {:.2f}", r.tps_median, r.tps_sd); }},
    {"planned", 7, 10, [](const BenchRow& r) { return r.predicted_tps > 0 ? fmt::format("{:.2f}", r.predicted_tps) : "-"; }},
    {"GB/s", 7, 5, [](const BenchRow& r) { return fmt::format("{:.1f}", r.gbps); }},
    {"% bw", 5, 2, [](const BenchRow& r) { return percent(r.pct_bandwidth); }},
    {"GMAC/s", 8, 6, [](const BenchRow& r) { return fmt::format("{:.1f}", r.gmacs); }},
    {"% peak", 6, 1, [](const BenchRow& r) { return percent(r.pct_int8_peak); }},
    {"ms", 9, 4, milliseconds},
    {"cost", 11, 7, cost},
};

// The columns that fit; `cost` counts among the first where steps of columns are measured, and is empty elsewhere.
std::vector<Column> columns_for(size_t width, bool steps) {
    std::vector<Column> shown = kColumns;
    if (steps) shown.back().leaves = 1;
    const auto needed = [&shown] {
        size_t sum = 1;
        for (const Column& c : shown) sum += c.width + 3;
        return sum;
    };
    while (width > 0 && needed() > width) {
        const auto last = std::max_element(shown.begin(), shown.end(),
                                           [](const auto& a, const auto& b) { return a.leaves < b.leaves; });
        if (last->leaves == 0) break;
        shown.erase(last);
    }
    return shown;
}

void print_heading(Console& console, const BenchRow& row, const std::vector<Column>& columns) {
    const bool narrow = columns.size() < kColumns.size();
    const std::string machine =
        fmt::format("{}{} · kv {} · machine {:.1f} GB/s, {:.0f} GMAC/s int8 ({}){}",
                    narrow ? fmt::format("{} {} · {} threads · ", row.model, row.type, threads(row)) : "",
                    row.gpu.empty() ? fmt::format("cpu {} · kernels {}", row.cpu, row.isa) : fmt::format("gpu {}", row.gpu), row.kv,
                    row.machine_gbps, row.machine_gmacs, row.peak_instruction,
                    row.matrix_instruction.empty()
                        ? "" : fmt::format(", {:.0f} GMAC/s by matrices ({})", row.machine_matrix_gmacs, row.matrix_instruction));
    const size_t width = console.note_width();
    const std::string lines = width > 0 ? wrapped(machine, width, 2, 0) : machine;
    for (const std::string_view line : split(lines, '\n')) console.note(line);
    std::vector<std::string> names;
    std::vector<size_t> widths;
    std::string rule = "|";
    for (const Column& c : columns) {
        rule += fmt::format("{:-<{}}|", "", c.width + 2);
        if (!names.empty()) rule[rule.size() - 2] = ':';
        names.emplace_back(c.name);
        widths.push_back(c.width);
    }
    console.write(markdown_row(names, widths) + rule + "\n");
}

void print_table_row(Console& console, const BenchRow& row, const std::vector<Column>& columns) {
    std::vector<std::string> cells;
    std::vector<size_t> widths;
    for (const Column& c : columns) {
        cells.push_back(c.cell(row));
        widths.push_back(c.width);
    }
    console.write(markdown_row(cells, widths));
}

std::string csv_cell(const Json& value) {
    std::string text;
    if (value.is_string()) {
        text = printable(value.get<std::string>());
    } else if (value.is_array()) {
        for (const Json& v : value) text += (text.empty() ? "" : v.is_string() ? "; " : " ") + csv_cell(v);
    } else if (!value.is_null()) {
        return to_text(value);
    }
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

}  // namespace

Json bench_json(const BenchRow& row, bool profile) {
    Json json = {{"schema", 1},
                 {"test", row.test},
                 {"n_prompt", row.n_prompt},
                 {"n_gen", row.n_gen},
                 {"columns", row.columns},
                 {"depth", row.depth},
                 {"reps", row.reps},
                 {"tps_median", row.tps_median},
                 {"tps_mean", row.tps_mean},
                 {"tps_sd", row.tps_sd},
                 {"predicted_tps", measured(row.predicted_tps)},
                 {"gbps", row.gbps},
                 {"gmacs", row.gmacs},
                 {"machine_gbps", measured(row.machine_gbps)},
                 {"machine_gmacs", measured(row.machine_gmacs)},
                 {"peak_instruction", row.peak_instruction},
                 {"machine_matrix_gmacs", measured(row.machine_matrix_gmacs)},
                 {"matrix_instruction", row.matrix_instruction},
                 {"pct_bandwidth", measured(row.pct_bandwidth)},
                 {"pct_int8_peak", measured(row.pct_int8_peak)},
                 {"ns", row.ns},
                 {"ttft_ns", measured(row.ttft_ns)},
                 {"token_p50_ns", measured(row.token_p50_ns)},
                 {"token_p95_ns", measured(row.token_p95_ns)},
                 {"step_ms", measured(row.step_ms)},
                 {"cost_ratio", measured(row.cost_ratio)},
                 {"cost_allowed", measured(row.cost_allowed)},
                 {"cpu", row.cpu},
                 {"isa", row.isa},
                 {"gpu", row.gpu.empty() ? Json(nullptr) : Json(row.gpu)},
                 {"placement", row.placement},
                 {"split", row.split.empty() ? Json(nullptr) : Json(row.split)},
                 {"threads", row.threads},
                 {"prefill_threads", row.prefill_threads},
                 {"decode_threads", row.decode_threads},
                 {"model", row.model},
                 {"model_bytes", row.model_bytes},
                 {"type", row.type},
                 {"kv", row.kv},
                 {"peak_rss_bytes", row.peak_rss_bytes},
                 {"probe_bytes", row.probe_bytes},
                 {"logits_hash", row.logits_hash},
                 {"version", row.version},
                 {"compiler", row.compiler},
                 {"warnings", row.warnings}};
    if (profile) add_profile(json, row.profile, row.untimed);
    return json;
}

std::string csv_line(const Json& row, bool header) {
    std::string line;
    const char* comma = "";
    for (const auto& [name, value] : row.items()) {
        line += comma + (header ? name : csv_cell(value));
        comma = ",";
    }
    return line + "\n";
}

void BenchPrinter::row(const BenchRow& row) {
    const bool first = std::exchange(first_, false);
    for (const std::string& warning : row.warnings)
        console_.note(fmt::format("{}{}: {}", row.test, depth(row), warning));
    switch (format_) {
        case BenchFormat::md: {
            const auto columns = columns_for(width_, steps_);
            if (first) print_heading(console_, row, columns);
            print_table_row(console_, row, columns);
            break;
        }
        case BenchFormat::csv:
            if (first) console_.write(csv_line(bench_json(row, false), true));
            console_.write(csv_line(bench_json(row, false), false));
            break;
        case BenchFormat::json: rows_.push_back(row); return;
        case BenchFormat::jsonl: console_.write_json(bench_json(row, profile_)); return;
    }
    if (profile_) console_.aside(fmt::format("profile of {}\n{}", row.test, profile_table(row.profile, row.untimed)));
}

void BenchPrinter::finish() {
    if (format_ != BenchFormat::json) return;
    Json all = Json::array();
    for (const BenchRow& row : rows_) all.push_back(bench_json(row, profile_));
    console_.write_json(all);
}

}  // namespace lapidary::cli
