// The tensors of a checkpoint, whatever container they came in, by canonical name; each remembers whether
// the model took it, so that nothing that matters is silently left out.
#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "lapidary/result.h"
#include "runtime/file/file_tensor.h"

namespace lapidary::model {

// What packing needs to know of a tensor. other: never multiplied in panels.
enum class TensorRole { embedding, layer_matrix, other };

struct SourceTensor : runtime::FileTensor {
    std::string key;              // canonical name that the loader asks for
    runtime::Buffer buffer = {};  // that holds its bytes
    std::filesystem::path file = {};
    bool used = false;
    bool passed = false;  // not used, and rightly so
    std::string group = {};  // the text that describes it: "gguf", "mmproj"; "hf"
    TensorRole role = TensorRole::other;
    bool sensitive = false;  // values or ffn_down: mixtures give some of them more bits
    int layer = -1;
};

class TensorSource {
  public:
    // All tensors of the files; `key_of` makes a canonical name of one in them.
    static Result<TensorSource> collect(const runtime::FileTensors& files,
                                        std::string (*key_of)(std::string));
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
