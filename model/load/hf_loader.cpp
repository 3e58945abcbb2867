// Brings the parts of a Hugging Face folder together; see hf_loader.h.
#include "model/load/hf_loader.h"

#include <cstring>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/bind.h"
#include "model/load/config_check.h"
#include "model/load/folder_kind.h"
#include "model/load/hf_config.h"
#include "model/load/json_fields.h"
#include "model/load/report.h"
#include "model/load/special_ids.h"
#include "model/text/known_templates.h"
#include "runtime/file/json_file.h"
#include "runtime/file/safetensors.h"
#include "runtime/memory/host_access.h"

namespace lapidary::model {
namespace {

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

// The forward pass has no head but the embedding. One that repeats the embedding changes nothing; a trained one changes
// every reply.
Result<void> check_head(const TensorSource& source, bool tied, bool weights, const std::string& config_file) {
    constexpr const char* kHead = "lm_head.weight";
    const SourceTensor* head = source.find(kHead);
    const SourceTensor* embedding = source.find(kHfNames.embed);
    constexpr const char* kHint = "the output head must be the embedding, as in the published models";
    if (!head) {
        if (tied) return {};
        return Error{Errc::unsupported_model,
                     concat(in_quotes(config_file), ": tie_word_embeddings is false, but no tensor ", kHead, " is there"),
                     kHint};
    }
    if (!embedding) return {};  // bind_text names it
    const bool alike = head->type() == embedding->type() && head->shape == embedding->shape && head->layout == embedding->layout &&
                       head->bytes == embedding->bytes;
    if (alike && !weights) return {};
    if (alike && std::memcmp(host_bytes(*head->buffer) + head->offset,
                             host_bytes(*embedding->buffer) + embedding->offset,
                             static_cast<size_t>(head->bytes)) == 0)
        return {};
    return Error{Errc::unsupported_model,
                 concat("tensor ", in_quotes(head->name), " in ", in_quotes(head->file.string()),
                        " is an output head of its own, not the embedding"),
                 kHint};
}

constexpr const char* kTokenizer = "tokenizer.json";
constexpr const char* kTokenizerConfig = "tokenizer_config.json";
constexpr const char* kTemplate = "chat_template.jinja";
constexpr const char* kOlderTemplate = "chat_template.json";

// The value of chat_template: a text, or a list of named ones, of which "default" counts.
std::string template_in(const nlohmann::json& object) {
    const auto at = object.find("chat_template");
    if (at == object.end()) return {};
    if (at->is_string()) return at->get<std::string>();
    if (!at->is_array()) return {};
    for (const auto& item : *at)
        if (item.is_object() && item.value("name", nlohmann::json()) == "default" && item.contains("template") &&
            item["template"].is_string())
            return item["template"].get<std::string>();
    return {};
}

// chat_template.jinja, or one of the older places.
Result<std::string> read_template(const TextFiles& texts, const std::string& tokenizer_config) {
    LAP_ASSIGN(std::string text, texts.read_if_present(kTemplate, runtime::kMaxConfigBytes));
    if (text.empty() && texts.has(kOlderTemplate)) {
        LAP_ASSIGN(const auto older, texts.read_json(kOlderTemplate));
        text = template_in(older);
    }
    if (!text.empty() || tokenizer_config.empty()) return text;
    LAP_ASSIGN(const auto config, runtime::parse_json_object(tokenizer_config, texts.where(kTokenizerConfig)));
    return template_in(config);
}

// A checkpoint without tokenizer.json still loads (synthetic models have none); a broken one is an error.
// `pieces_too`: false where it is enough that there is a tokenizer.
Result<void> read_vocabulary(const TextFiles& texts, bool pieces_too, LoadedModel& model) {
    LAP_ASSIGN(const std::string settings, texts.read_if_present(kTokenizerConfig, runtime::kMaxConfigBytes));
    LAP_ASSIGN(model.chat_template, read_template(texts, settings));
    if (auto note = note_on_template(model.chat_template); !note.empty()) model.notes.push_back(std::move(note));
    if (!texts.has(kTokenizer)) {
        model.vocabulary_problem = concat("there is no ", in_quotes(texts.where(kTokenizer)));
        return {};
    }
    if (!pieces_too) return {};
    LAP_ASSIGN(const std::string text, texts.read(kTokenizer, runtime::kMaxTokenizerBytes));
    auto vocabulary = vocabulary_from_json(text, settings, &model.notes);
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
Result<void> carry(const TextFiles& texts, LoadedModel& model) {
    for (const char* name : {"config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json",
                             kTokenizer, kTokenizerConfig, kTemplate, kOlderTemplate}) {
        if (!texts.has(name)) continue;
        LAP_ASSIGN(std::string text, texts.read(name, runtime::kMaxTokenizerBytes));
        model.texts.emplace_back(name, std::move(text));
    }
    return {};
}

}  // namespace

Result<LoadedModel> load_hf_folder(const LoadOptions& options) {
    if (options.prompts_only) return load_hf_model(TextFiles(options.model), {}, options);
    if (!runtime::holds_safetensors(options.model))
        if (const auto error = folder_without_weights(options.model)) return *error;
    LAP_ASSIGN(const auto files, runtime::open_safetensors_folder(options.model));
    return load_hf_model(TextFiles(options.model), files, options);
}

Result<LoadedModel> load_hf_model(const TextFiles& texts, const runtime::Safetensors& tensors,
                                  const LoadOptions& options) {
    LoadedModel model;
    model.source = "hf";
    LAP_ASSIGN(HfConfig config, read_hf_config(texts));
    model.config = std::move(config.model);
    model.notes = std::move(config.notes);
    LAP_TRY(read_vocabulary(texts, options.vocabulary, model));
    complete_ids(model);
    const std::string file = texts.where("config.json");
    LAP_TRY(check_config(model.config, file));
    LAP_TRY(check_vocabulary(model, texts.where(kTokenizer)));
    if (options.prompts_only) return model;

    LAP_ASSIGN(TensorSource source, TensorSource::collect(tensors, canonical_name));
    const bool tied = config.tied_head || texts.packed();  // pack took it only with a head that repeats the embedding
    LAP_TRY(check_head(source, tied, options.weights || options.carry, file));
    LAP_TRY(bind_text(source, kHfNames, model.config, options.weights, model.weights));
    LAP_TRY(bind_media(source, kHfNames, model.config, options.weights, model.weights));
    LAP_TRY(refuse_unused_layers(source, kHfNames));
    if (options.weights) keep_files(source, model.weights);
    model.weights.bytes = source.used_bytes();
    for (const auto& part : tensors.parts) model.files.push_back(part.path);
    list_tensors(source, "hf", kHfNames, options, model);
    if (options.carry) LAP_TRY(carry(texts, model));
    return model;
}

}  // namespace lapidary::model
