// The tensors of a checkpoint, whatever container they came in, by canonical name; each remembers whether
// the model took it, so that nothing that matters is silently left out.
#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "lapidary/result.h"
#include "runtime/tensor.h"

namespace lapidary::model {

struct SourceTensor {
    std::string key;        // canonical name that the loader asks for
    std::string file_name;  // name in the file
    runtime::Format format = runtime::Format::f32;
    std::vector<int64_t> shape;  // outermost first
    runtime::Buffer buffer;
    size_t offset = 0;
    uint64_t bytes = 0;
    std::filesystem::path file;
    bool used = false;
    bool passed = false;  // not used, and rightly so
    runtime::Layout layout = runtime::Layout::rows;
    std::string foreign_type = {};  // the name of a type that is not read here; taking such a tensor is an error

    std::string type() const { return foreign_type.empty() ? kernels::name(format) : foreign_type; }
};

class TensorSource {
  public:
    // Two names of one file may have the same canonical name; that is an error.
    Result<void> add(SourceTensor tensor);
    const SourceTensor* find(const std::string& key) const;
    // Marks the tensor as used. Missing, or of a type that is not read here, is an error that names the file.
    Result<const SourceTensor*> take(const std::string& key);
    // Marks a tensor that the model does not need as understood.
    void pass(const std::string& key);
    const std::vector<SourceTensor>& all() const { return tensors_; }
    uint64_t used_bytes() const;

  private:
    std::vector<SourceTensor> tensors_;
    std::unordered_map<std::string, size_t> index_;
};

}  // namespace lapidary::model
