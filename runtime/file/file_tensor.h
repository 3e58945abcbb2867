// A tensor as a file holds it: the one description for every container, from its reader to loaders, inspect
// and pack.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor.h"

namespace lapidary::runtime {

// Of a tensor: far above any model, and products of sizes stay below 2^63.
inline constexpr uint64_t kMaxValues = uint64_t{1} << 48;

struct FileTensor {
    std::string name = {};            // in its file
    Format format = Format::f32;      // without meaning when foreign_type is set
    Layout layout = Layout::rows;     // panels: only in a .lapidary file
    std::vector<int64_t> shape = {};  // outermost first, so [rows, cols] of a matrix
    size_t part = 0;                  // index into FileTensors::parts
    uint64_t offset = 0, bytes = 0;   // in that part; bytes of a foreign type: at most
    std::string foreign_type = {};    // the name of a type that exists but is not read here; else empty

    std::string type() const { return foreign_type.empty() ? kernels::name(format) : foreign_type; }
    int64_t cols() const { return shape.empty() ? 1 : shape.back(); }
    int64_t rows() const;  // of all but the innermost axis
    int64_t values() const { return rows() * cols(); }
    // What the values take in another form. The shape must suit it: in panels, two axes and whole K groups.
    uint64_t bytes_as(Format f, Layout l) const;
    bool can_lie_in_panels(Format f) const;
};

struct FilePart {
    std::filesystem::path path;
    Buffer buffer;
};

// What a model's files hold, however they are written.
struct FileTensors {
    std::vector<FilePart> parts;      // keep every view of the tensors alive
    std::vector<FileTensor> tensors;  // of all parts, in file order

    const FileTensor* find_tensor(std::string_view name) const;
};

}  // namespace lapidary::runtime
