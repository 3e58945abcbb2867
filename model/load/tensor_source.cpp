// A list with an index; see tensor_source.h.
#include "model/load/tensor_source.h"

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::model {

Result<TensorSource> TensorSource::collect(const runtime::FileTensors& files,
                                           std::string (*key_of)(std::string)) {
    TensorSource source;
    for (const runtime::FileTensor& tensor : files.tensors) {
        const runtime::FilePart& part = files.parts[tensor.part];
        LAP_TRY(source.add({tensor, key_of(tensor.name), part.buffer, part.path}));
    }
    return source;
}

Result<void> TensorSource::add(SourceTensor tensor) {
    const auto [at, fresh] = index_.emplace(tensor.key, tensors_.size());
    if (!fresh)
        return Error{Errc::bad_model_file,
                     concat("tensors ", in_quotes(tensors_[at->second].name), " and ", in_quotes(tensor.name),
                            " in ", in_quotes(tensor.file.string()), " are the same part of the model")};
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
    SourceTensor& tensor = tensors_[at->second];
    if (!tensor.foreign_type.empty())
        return Error{Errc::unsupported_model,
                     concat("tensor ", in_quotes(tensor.name), " in ", in_quotes(tensor.file.string()),
                            " has the type ", in_quotes(tensor.foreign_type), ", which is not supported"),
                     "use a model in f32, f16, bf16, q4_0 to q8_0, q2_k to q6_k, iq4_nl or iq4_xs"};
    tensor.used = true;
    return &tensor;
}

void TensorSource::pass(const std::string& key) {
    if (const auto at = index_.find(key); at != index_.end()) tensors_[at->second].passed = true;
}

uint64_t TensorSource::used_bytes() const {
    uint64_t bytes = 0;
    for (const SourceTensor& tensor : tensors_)
        if (tensor.used) bytes += tensor.bytes;
    return bytes;
}

}  // namespace lapidary::model
