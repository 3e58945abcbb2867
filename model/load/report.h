// What both loaders say at the end: lists for `inspect`, and checks that need config and vocabulary.
#pragma once

#include <filesystem>
#include <string>

#include "model/load/bind.h"
#include "model/load/loader.h"
#include "model/load/tensor_source.h"

namespace lapidary::model {

// Appends the source's tensors to model.tensors; those that the model does not use go to the metadata too.
// Their buffers are kept for who packs them only.
void list_tensors(const TensorSource& source, const std::string& group, const TensorNames& names,
                  const LoadOptions& options, LoadedModel& model);

// Pieces must have rows in the embedding, but for added tokens that no text needs to hold (a note says so); and media
// need their placeholder tokens. `file` holds the vocabulary.
Result<void> check_vocabulary(LoadedModel& model, const std::string& file);

// A complaint about a model's tokenizer, whatever its code, is one about the model file.
Error as_model_error(Error error, const std::filesystem::path& file);

}  // namespace lapidary::model
