// Told by the names that transformers, PEFT and PyTorch give their files; see folder_kind.h.
#include "model/load/folder_kind.h"

#include "runtime/file/describe.h"

namespace lapidary::model {
namespace {

struct Kind {
    const char* file;
    const char* what;
    const char* hint;
};
constexpr const char* kFetch = "fetch the whole model: config.json and its .safetensors files belong to it";
constexpr const char* kConvert = "save the model as safetensors, or convert it to GGUF";
constexpr const char* kMerge = "merge it into the model it was made for, and give the result";
constexpr Kind kKinds[] = {  // the first that is there counts
    {"adapter_config.json", "an adapter (LoRA), not a model", kMerge},
    {"adapter_model.safetensors", "an adapter (LoRA), not a model", kMerge},
    {"pytorch_model.bin", "weights of PyTorch, which are not read", kConvert},
    {"pytorch_model.bin.index.json", "weights of PyTorch, which are not read", kConvert},
    {"tf_model.h5", "weights of TensorFlow, which are not read", kConvert},
    {"flax_model.msgpack", "weights of Flax, which are not read", kConvert},
    {"config.json", "a configuration without weights", kFetch},
    {"tokenizer.json", "a tokenizer without a model", kFetch},
    {"tokenizer.model", "a tokenizer without a model", kFetch},
    {"tokenizer_config.json", "a tokenizer without a model", kFetch},
    {"chat_template.jinja", "a chat template without a model", kFetch},
    {"chat_template.json", "a chat template without a model", kFetch},
    {"processor_config.json", "a processor's settings without a model", kFetch},
    {"preprocessor_config.json", "a processor's settings without a model", kFetch},
};

}  // namespace

std::optional<Error> folder_without_weights(const std::filesystem::path& folder) {
    std::error_code ignored;
    for (const Kind& kind : kKinds)
        if (std::filesystem::exists(folder / kind.file, ignored))
            return Error{Errc::model_not_found,
                         runtime::concat("the folder ", runtime::in_quotes(folder.string()), " holds ", kind.what, " (",
                                         kind.file, ")"),
                         kind.hint};
    return std::nullopt;
}

}  // namespace lapidary::model
