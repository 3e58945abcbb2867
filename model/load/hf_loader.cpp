// Brings the parts of a Hugging Face folder together; see hf_loader.h.
#include "model/load/hf_loader.h"

#include "model/load/bind.h"
#include "model/load/config_check.h"
#include "model/load/hf_config.h"
#include "model/load/json_fields.h"
#include "model/load/report.h"
#include "model/load/special_ids.h"
#include "runtime/file/describe.h"
#include "runtime/file/json_file.h"
#include "runtime/file/safetensors.h"

namespace lapidary::model {
namespace {

using runtime::concat;
using runtime::in_quotes;

bool drop_front(std::string& text, std::string_view prefix) {
    if (text.rfind(prefix, 0) != 0) return false;
    text.erase(0, prefix.size());
    return true;
}

void drop_inside(std::string& text, std::string_view part) {
    const size_t at = text.find(part);
    if (at != std::string::npos) text.erase(at, part.size());
}

// Published files, older and newer classes, and text-only checkpoints differ in the modules around the same
// parts: model.language_model.layers..., language_model.model.layers..., model.layers...; the vision parts
// may all lie under embed_vision, and the projections under a multimodal_embedder.
std::string canonical_name(std::string name) {
    drop_front(name, "model.");
    if (drop_front(name, "language_model.")) drop_front(name, "model.");
    drop_inside(name, "multimodal_embedder.");
    if (drop_front(name, "embed_vision.")) {
        drop_front(name, "vision_embedder.");
        name = (name.rfind("embedding_projection", 0) == 0 ? "embed_vision." : "vision_embedder.") + name;
    }
    return name;
}

Result<TensorSource> collect(const runtime::Safetensors& files) {
    TensorSource source;
    for (const auto& tensor : files.tensors) {
        SourceTensor item;
        item.key = canonical_name(tensor.name);
        item.file_name = tensor.name;
        item.format = tensor.format;
        item.layout = tensor.layout;
        item.foreign_type = tensor.foreign_type;
        item.shape = tensor.shape;
        item.buffer = files.parts[tensor.part].buffer;
        item.offset = tensor.offset;
        item.bytes = tensor.bytes;
        item.file = files.parts[tensor.part].path;
        LAP_TRY(source.add(std::move(item)));
    }
    return source;
}

constexpr const char* kTokenizer = "tokenizer.json";
constexpr const char* kTokenizerConfig = "tokenizer_config.json";
constexpr const char* kTemplate = "chat_template.jinja";

// chat_template.jinja, or the older place inside tokenizer_config.json.
Result<std::string> read_template(const TextFiles& texts, const std::string& tokenizer_config) {
    LAP_ASSIGN(std::string text, texts.read_if_present(kTemplate, runtime::kMaxConfigBytes));
    if (!text.empty() || tokenizer_config.empty()) return text;
    LAP_ASSIGN(const auto json, runtime::parse_json_object(tokenizer_config, texts.where(kTokenizerConfig)));
    const auto at = json.find("chat_template");
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
}

// A checkpoint without tokenizer.json still loads (synthetic models have none); a broken one is an error.
Result<void> read_vocabulary(const TextFiles& texts, LoadedModel& model) {
    LAP_ASSIGN(const std::string settings, texts.read_if_present(kTokenizerConfig, runtime::kMaxConfigBytes));
    LAP_ASSIGN(model.chat_template, read_template(texts, settings));
    if (!texts.has(kTokenizer)) {
        model.vocabulary_problem = concat("there is no ", in_quotes(texts.where(kTokenizer)));
        return {};
    }
    LAP_ASSIGN(const std::string text, texts.read(kTokenizer, runtime::kMaxTokenizerBytes));
    auto vocabulary = vocabulary_from_json(text, settings);
    if (!vocabulary) return as_model_error(vocabulary.error(), texts.where(kTokenizer));
    model.vocabulary = std::move(*vocabulary);
    return {};
}

void complete_ids(LoadedModel& model) {
    SpecialTexts texts;
    if (model.vocabulary)
        for (int32_t id = 0; id < model.vocabulary->size(); id++) texts.see(id, model.vocabulary->piece(id));
    fill_media_ids(model.config.ids, texts);
    add_stop_texts(model.config.stop_ids, texts, !model.chat_template.empty());
    add_suppressed_media(model.config.suppress_ids, model.config.ids);
}

// Everything that was read above, for who packs it.
Result<void> carry(const TextFiles& texts, const TensorSource& source, LoadedModel& model) {
    for (const char* name : {"config.json", "generation_config.json", "processor_config.json", kTokenizer,
                             kTokenizerConfig, kTemplate}) {
        if (!texts.has(name)) continue;
        LAP_ASSIGN(std::string text, texts.read(name, runtime::kMaxTokenizerBytes));
        model.carried.texts.emplace_back(name, std::move(text));
    }
    carry_tensors(source, "hf", kHfNames, model);
    return {};
}

}  // namespace

Result<LoadedModel> load_hf_folder(const LoadOptions& options) {
    LAP_ASSIGN(const auto files, runtime::open_safetensors_folder(options.model));
    return load_hf_model(TextFiles(options.model), files, options);
}

Result<LoadedModel> load_hf_model(const TextFiles& texts, const runtime::Safetensors& tensors,
                                  const LoadOptions& options) {
    if (!options.mmproj.empty())
        return Error{Errc::invalid_argument,
                     concat("a projector (", in_quotes(options.mmproj.string()),
                            ") was given, but a Hugging Face model brings its own"),
                     "leave --mmproj away, or give a GGUF model"};
    LoadedModel model;
    model.source = "hf";
    LAP_ASSIGN(model.config, read_hf_config(texts));
    LAP_TRY(read_vocabulary(texts, model));
    complete_ids(model);
    const std::string file = texts.where("config.json");
    LAP_TRY(check_config(model.config, file));
    LAP_TRY(check_vocabulary(model, file));

    LAP_ASSIGN(TensorSource source, collect(tensors));
    LAP_TRY(bind_text(source, kHfNames, model.config, options.weights, model.weights));
    LAP_TRY(bind_media(source, kHfNames, model.config, options.weights, model.weights));
    LAP_TRY(refuse_unused_layers(source, kHfNames));
    if (options.weights) keep_files(source, model.weights);
    model.weights.bytes = source.used_bytes();
    for (const auto& part : tensors.parts) model.files.push_back(part.path);
    list_tensors(source, model);
    if (options.carry) LAP_TRY(carry(texts, source, model));
    return model;
}

}  // namespace lapidary::model
