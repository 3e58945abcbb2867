// A list with an index; see tensor_source.h.
#include "model/load/tensor_source.h"

#include "runtime/file/describe.h"

namespace lapidary::model {

using runtime::concat;
using runtime::in_quotes;

Result<void> TensorSource::add(SourceTensor tensor) {
    const auto [at, fresh] = index_.emplace(tensor.key, tensors_.size());
    if (!fresh)
        return Error{Errc::bad_model_file,
                     concat("tensors ", in_quotes(tensors_[at->second].file_name), " and ",
                            in_quotes(tensor.file_name), " in ", in_quotes(tensor.file.string()),
                            " are the same part of the model")};
    tensors_.push_back(std::move(tensor));
    return {};
}

const SourceTensor* TensorSource::find(const std::string& key) const {
    const auto at = index_.find(key);
    return at == index_.end() ? nullptr : &tensors_[at->second];
}

Result<const SourceTensor*> TensorSource::take(const std::string& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) {
        const std::string file =
            tensors_.empty() ? std::string("the model") : in_quotes(tensors_[0].file.string());
        return Error{Errc::bad_model_file, concat("tensor ", in_quotes(key), " is missing in ", file),
                     "the file may be cut short or belong to another architecture"};
    }
    tensors_[at->second].used = true;
    return &tensors_[at->second];
}

uint64_t TensorSource::used_bytes() const {
    uint64_t bytes = 0;
    for (const SourceTensor& tensor : tensors_)
        if (tensor.used) bytes += tensor.bytes;
    return bytes;
}

}  // namespace lapidary::model
