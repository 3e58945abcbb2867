// How kernel tests walk the table (kernels/kernels.inc): every function of an operation that runs here, whatever its
// format and level, so that a new row is tested without a line more. select_test.cpp asks for a walk of every operation.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "kernels/select.h"
#include "tests/kernels/avxvnni_emulated.h"

namespace lapidary::test {

using kernels::KernelRow;

// Each function once, that is, under the level whose own it is; those of avxvnni also emulated.
inline const std::vector<KernelRow>& runnable_rows() {
    static const std::vector<KernelRow> kRows = [] {
        std::vector<KernelRow> out;
        for (KernelRow row : kernels::rows()) {
            if (!row.own) continue;
            if (row.table) out.push_back(row);
            row.table = row.isa == "avxvnni" ? avxvnni_emulated() : nullptr;
            if (!row.table) continue;
            row.isa = row.table->isa;
            out.push_back(row);
        }
        return out;
    }();
    return kRows;
}

// What the tests of a walk hold results against: values in double or made by hand, or (also) the bits of `ref`.
enum class Compare { values, bits };

// The rows of one operation, or the tables that have one of several as their own. At namespace scope.
class Walk {
  public:
    Walk(std::initializer_list<std::string_view> ops, Compare compare) : ops_(ops), compare_(compare) { all().push_back(this); }
    static std::vector<const Walk*>& all() {
        static std::vector<const Walk*> walks;
        return walks;
    }
    bool covers(std::string_view op) const { return std::count(ops_.begin(), ops_.end(), op) > 0; }
    Compare compare() const { return compare_; }
    const std::vector<std::string_view>& ops() const { return ops_; }

    std::vector<KernelRow> rows() const {
        std::vector<KernelRow> out;
        for (const KernelRow& row : runnable_rows()) {
            const auto same = [&](const KernelRow& r) { return r.table == row.table && r.format == row.format; };
            if (covers(row.op) && std::none_of(out.begin(), out.end(), same)) out.push_back(row);
        }
        return out;
    }
    // Those of one format of weights, and the formats.
    std::vector<KernelRow> of(kernels::Format format) const {
        auto out = rows();
        std::erase_if(out, [&](const KernelRow& row) { return row.format != kernels::name(format); });
        return out;
    }
    std::vector<kernels::Format> formats() const {
        std::vector<kernels::Format> out;
        for (const KernelRow& row : rows())
            if (std::find(out.begin(), out.end(), row.weights) == out.end()) out.push_back(row.weights);
        return out;
    }

  private:
    std::vector<std::string_view> ops_;
    Compare compare_;
};

}  // namespace lapidary::test
