// Lists and last checks; see report.h.
#include "model/load/report.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/describe.h"

namespace lapidary::model {

// What the key says to who packs the tensor.
void set_role(const TensorNames& names, SourceTensor& tensor) {
    const std::string_view key = tensor.key;
    if (key == names.embed) tensor.role = TensorRole::embedding;
    if (!key.starts_with(names.layer_prefix) || tensor.shape.size() != 2) return;
    tensor.role = TensorRole::layer_matrix;
    tensor.layer = std::atoi(key.data() + std::strlen(names.layer_prefix));
    tensor.sensitive = key.ends_with(names.v) || key.ends_with(names.down);
}

void list_tensors(const TensorSource& source, const std::string& group, const TensorNames& names,
                  const LoadOptions& options, LoadedModel& model) {
    constexpr size_t kNoted = 4, kListedBytes = 500;
    std::string all, some;
    size_t count = 0;
    for (const SourceTensor& tensor : source.all()) {
        SourceTensor& listed = model.tensors.emplace_back(tensor);
        listed.group = group;
        set_role(names, listed);
        if (!options.carry) listed.buffer.reset();
        if (tensor.used || tensor.passed) continue;
        if (all.size() < kListedBytes) all += concat(all.empty() ? "" : ", ", tensor.name);
        if (count++ < kNoted) some += concat(some.empty() ? "" : ", ", in_quotes(tensor.name));
    }
    if (count == 0) return;
    model.metadata.emplace_back("unused tensors", all.size() < kListedBytes ? all : all + "...");
    model.notes.push_back(concat(count, count == 1 ? " tensor" : " tensors", " of the file ",
                                 count == 1 ? "is" : "are", " not used: ", some, count > kNoted ? ", ..." : ""));
}

Result<void> check_vocabulary(LoadedModel& model, const std::string& file) {
    if (!model.vocabulary) return {};
    const ModelConfig& config = model.config;
    const Vocabulary& vocabulary = *model.vocabulary;
    for (int32_t id = config.vocab; id < vocabulary.size(); id++)
        if (!std::binary_search(vocabulary.added_tokens.begin(), vocabulary.added_tokens.end(), id))
            return Error{Errc::bad_model_file,
                         concat(in_quotes(file), ": the tokenizer has ", vocabulary.size(),
                                " pieces, the embedding only ", config.vocab, " rows"),
                         "the tokenizer belongs to another model"};
    if (vocabulary.size() > config.vocab)
        model.notes.push_back(concat(in_quotes(file), ": the tokenizer has ", vocabulary.size() - config.vocab,
                                     " added tokens more than the embedding has rows; a text that holds one is refused"));
    const char* missing = config.vision && config.ids.image < 0  ? "<|image|>"
                          : config.audio && config.ids.audio < 0 ? "<|audio|>"
                                                                 : nullptr;
    if (missing)
        return Error{Errc::bad_model_file, concat(in_quotes(file), ": the tokenizer has no token ", missing,
                                                  " although the model takes such input")};
    return {};
}

Error as_model_error(Error error, const std::filesystem::path& file) {
    if (error.code != Errc::unsupported_model) error.code = Errc::bad_model_file;
    error.message = concat(in_quotes(file.string()), ": ", error.message);
    return error;
}

}  // namespace lapidary::model
