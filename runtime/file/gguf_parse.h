// One GGUF file's header, checked. For gguf.cpp, which joins the parts of a split model, and for metadata
// that a .lapidary file carries.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "lapidary/result.h"
#include "runtime/file/gguf.h"

namespace lapidary::runtime {

struct GgufHeader {
    std::vector<std::pair<std::string_view, GgufValue>> metadata;
    std::vector<FileTensor> tensors;  // part is left 0
};

// `file` is the whole file, or as much as there is of it with Extent::front; `path` names it in errors.
Result<GgufHeader> parse_gguf(std::string_view file, const std::string& path, Extent extent = Extent::whole);

}  // namespace lapidary::runtime
