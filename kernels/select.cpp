// Builds one KernelTable per level from kernels.inc and chooses the level for this machine.
#include "kernels/select.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>

#include "kernels/cpu.h"
#include "kernels/declare.h"

namespace lapidary::kernels {
namespace {

template <class Fn>
void put(Fn& slot, std::string_view, Fn function) {
    slot = function;
}
template <class Fn>
void put(Fn (&slots)[kFormats], std::string_view format, Fn function) {
    for (int i = 0; i < kFormats; ++i) {
        if (format == name(static_cast<Format>(i))) slots[i] = function;
    }
}
template <class Fn>
void put(Fn (&slots)[3], std::string_view format, Fn function) {
    for (int i = 0; i < 3; ++i) {
        if (format == name(static_cast<KvFormat>(i))) slots[i] = function;
    }
}

// The rows of a level over those of its base.
void fill(std::string_view level, KernelTable& table) {
#define LAP_LEVEL(name, base, numbers) \
    if (level == #name && level != #base) fill(#base, table);
#define LAP_KERNEL(op, format, isa, function, ...) \
    if (level == #isa) put(table.op, #format, &isa::function);
#include "kernels/kernels.inc"
#undef LAP_KERNEL
#undef LAP_LEVEL
}

KernelTable make_table(const char* level, const char* rows_of) {
    KernelTable table;
    table.isa = level;
    fill(rows_of, table);
    std::copy(std::begin(table.panel_matmul), std::end(table.panel_matmul), table.panel_matmul_few);
    return table;
}

// Whether the build compiled the level in.
bool built(std::string_view level) {
#define LAP_LEVEL(name, base, numbers) \
    if (level == #name) return true;
#define LAP_KERNEL(op, format, isa, function, ...)
#include "kernels/kernels.inc"
#undef LAP_KERNEL
#undef LAP_LEVEL
    return false;
}

// `extended` replaces rows of the level where the CPU has one more instruction.
struct Candidate {
    const char* level;
    bool supported;
    const char* extended = nullptr;
    bool extension_supported = false;
    bool extended_attention = false;  // attention in f32 is slower
};

std::vector<Candidate> candidates() {
    const CpuFeatures cpu = detect_cpu();
    return {{"ref", true},
            {"neon", cpu.neon},
            {"neon_dot", cpu.neon_dot},
            {"neon_i8mm", cpu.neon_i8mm},
            {"avx2", cpu.avx2},
            {"avxvnni", cpu.avxvnni},
            {"avx512", cpu.avx512, "avx512_bf16", cpu.avx512_bf16, cpu.fast_bf16}};
}

struct Tables {
    std::deque<KernelTable> owned;  // addresses stay
    std::vector<Level> levels;
    std::vector<const KernelTable*> runnable;
    std::map<std::string_view, const KernelTable*> serving;  // by the level that has given the rows

    Tables() {
        for (const Candidate& c : candidates()) {
            Level level{c.level, built(c.level), c.supported, nullptr};
            if (level.built && level.supported) {
                const KernelTable* plain = level.table = serving[c.level] = add(make_table(c.level, c.level));
                if (c.extended && built(c.extended) && c.extension_supported) {
                    level.table = serving[c.extended] = add(make_table(c.level, c.extended));
                    if (!c.extended_attention) {
                        KernelTable mixed = *level.table;
                        mixed.attention = plain->attention;
                        level.table = add(mixed);
                    }
                }
            }
            levels.push_back(level);
        }
    }
    const KernelTable* add(KernelTable table) {
        runnable.push_back(&owned.emplace_back(table));
        return runnable.back();
    }
};

const Tables& tables() {
    static const Tables kTables;
    return kTables;
}

// All rows, level by level: each begins with those of its base, which it completes and replaces.
class Rows {
  public:
    std::vector<KernelRow> all;

    void add_level(std::string_view name, std::string_view base, bool bf16) {
        const auto& serving = tables().serving;
        const auto found = serving.find(name);
        level_ = {};
        level_.isa = name;
        level_.own = true;
        level_.bf16 = bf16;
        level_.table = found == serving.end() ? nullptr : found->second;
        begin_ = all.size();
        for (size_t i = 0; i < begin_; ++i) {
            if (all[i].isa != base) continue;
            KernelRow row = all[i];
            row.isa = name;
            row.own = false;
            row.table = level_.table;
            all.push_back(row);
        }
    }
    void add(std::string_view op, std::string_view format_name, std::string_view function, TileShape tile) {
        KernelRow row = level_;
        row.op = op;
        row.format = format_name;
        row.function = function;
        row.tile = tile;
        for (int i = 0; i < kFormats; ++i)
            if (format_name == name(static_cast<Format>(i))) row.weights = static_cast<Format>(i);
        for (int i = 0; i < 3; ++i)
            if (format_name == name(static_cast<KvFormat>(i))) row.cache = static_cast<KvFormat>(i);
        constexpr bool exact = true, rounded = false;
        const Format format = row.weights;
#define LAP_OPERATION(name, type, bits, values, scratch) \
    if (op == #name) {                                   \
        row.exact = bits && !row.bf16;                   \
        row.multiple = values;                           \
    }
#include "kernels/operations.inc"
#undef LAP_OPERATION
        for (size_t i = begin_; i < all.size(); ++i)
            if (all[i].op == op && all[i].format == format_name) return void(all[i] = row);
        all.push_back(row);
    }

  private:
    size_t begin_ = 0;  // of the level being added
    KernelRow level_;   // what its own rows share
};

}  // namespace

const std::vector<Level>& levels() { return tables().levels; }
const std::vector<const KernelTable*>& runnable_tables() { return tables().runnable; }

const KernelTable* select(std::string_view level, std::string* why) {
    const KernelTable* best = nullptr;
    const Level* named = nullptr;
    std::string working;
    for (const Level& l : levels()) {
        if (l.name == level) named = &l;
        if (!l.table) continue;
        best = l.table;
        working += (working.empty() ? "" : ", ") + std::string(l.name);
    }
    if (level.empty()) return best;
    if (named && named->table) return named->table;
    if (why) {
        const char* reason = !named          ? "is not a level that exists"
                             : !named->built ? "is not part of this build"
                                             : "cannot run on this CPU";
        *why = "kernel level \"" + std::string(level) + "\" " + reason + "; levels that work here: " + working;
    }
    return nullptr;
}

const std::vector<KernelRow>& rows() {
    static const std::vector<KernelRow> kRows = [] {
        Rows rows;
#define LAP_LEVEL(name, base, numbers) rows.add_level(#name, #base, std::string_view(#numbers) == "bf16");
#define LAP_KERNEL(op, format, isa, function, ...) rows.add(#op, #format, #isa "::" #function, isa::kTile_##function);
#include "kernels/kernels.inc"
#undef LAP_KERNEL
#undef LAP_LEVEL
        return rows.all;
    }();
    return kRows;
}

}  // namespace lapidary::kernels
