// Brings a text GGUF and its tokenizer lists together, and a projector with them; see gguf_loader.h.
#include "model/load/gguf_loader.h"

#include "base/describe.h"
#include "base/try.h"
#include "model/load/bind.h"
#include "model/load/config_check.h"
#include "model/load/gguf_config.h"
#include "model/load/gguf_fields.h"
#include "model/load/gguf_keys.h"
#include "model/load/report.h"
#include "model/load/special_ids.h"
#include "model/text/known_templates.h"
#include "runtime/file/gguf.h"
#include "runtime/file/gguf_writer.h"
#include "runtime/memory/host_access.h"

namespace lapidary::model {
namespace {

using runtime::Gguf;

// As they are named in the file.
std::string same_name(std::string name) { return name; }

void fill_ids(const std::vector<std::string_view>& pieces, ModelConfig& config) {
    SpecialTexts texts;
    for (size_t id = 0; id < pieces.size(); id++) texts.see(static_cast<int32_t>(id), pieces[id]);
    fill_media_ids(config.ids, texts);
    add_stop_texts(config.stop_ids, texts, /*chat=*/true);  // a GGUF says nothing better
    add_suppressed_media(config.suppress_ids, config.ids);
    const TokenIds family;  // what Gemma 4 has, for a file that neither says nor shows it
    const struct {
        int32_t& id;
        const char* text;
        int32_t known;
    } all[] = {{config.ids.bos, "<bos>", family.bos}, {config.ids.pad, "<pad>", family.pad}};
    for (const auto& entry : all) {
        if (entry.id < 0) entry.id = texts.id(entry.text);
        if (entry.id < 0 && entry.known < config.vocab) entry.id = entry.known;
    }
}

// Why the file's tokenizer cannot be used here; empty when it can. What it is read past is in the notes.
Result<std::string> tokenizer_problem(const GgufFields& keys, std::vector<std::string>& notes) {
    LAP_ASSIGN(const std::string kind, keys.text("model", ""));
    LAP_ASSIGN(const std::string pre, keys.text("pre", ""));
    LAP_ASSIGN(const bool lower, keys.boolean("normalizer.lowercase", false));
    LAP_ASSIGN(const bool bare, keys.boolean("normalizer.strip_accents", false));
    if (kind.empty()) return concat(keys.file(), " has no tokenizer");
    const bool other_name = kind == "llama" && pre == "gemma4" && keys.has("merges");  // of Ollama's converter
    if (kind != "gemma4" && !other_name)
        return concat(keys.file(), " has a tokenizer of the kind ", in_quotes(kind), ", not 'gemma4'");
    if (lower || bare)
        return concat(keys.file(), " has a tokenizer that ", lower ? "lowers capitals" : "strips accents",
                      ", which that of Gemma 4 does not");
    if (!pre.empty() && pre != "gemma4" && pre != "default")
        notes.push_back(concat("'tokenizer.ggml.pre' is ", in_quotes(pre), " in the file; text is cut as Gemma 4 does"));
    return std::string();
}

// token_type, or what the pieces show where the file leaves it away.
Result<std::vector<int32_t>> read_types(const GgufFields& keys, const std::vector<std::string_view>& pieces,
                                        std::vector<std::string>& notes) {
    if (keys.has("token_type")) return keys.integers("token_type");
    notes.push_back("the file does not say of what type its tokens are; their texts tell");
    std::vector<int32_t> types;
    for (const std::string_view piece : pieces)
        types.push_back(static_cast<int32_t>(is_added_token(piece) ? TokenType::control : TokenType::normal));
    return types;
}

// Files of other tokenizer kinds still load (synthetic ones have a made-up list); a broken list is an error.
Result<void> read_vocabulary(const Gguf& gguf, bool pieces_too, LoadedModel& model) {
    const GgufFields keys(gguf, "tokenizer.ggml.");
    if (!pieces_too) {
        LAP_ASSIGN(model.vocabulary_problem, tokenizer_problem(keys, model.notes));
        return {};
    }
    const auto* tokens = keys.get("tokens");
    const auto pieces = tokens ? tokens->strings() : std::nullopt;
    if (tokens && (!pieces || pieces->size() > kMaxVocab)) return keys.wrong("tokens", "a list of texts");
    fill_ids(pieces.value_or(std::vector<std::string_view>()), model.config);
    LAP_ASSIGN(model.vocabulary_problem, tokenizer_problem(keys, model.notes));
    if (!model.vocabulary_problem.empty()) return {};
    if (!pieces) return keys.wrong("tokens", "a list of texts");
    LAP_ASSIGN(const auto types, read_types(keys, *pieces, model.notes));
    const auto* merge_list = keys.get("merges");
    const auto merges = merge_list ? merge_list->strings() : std::nullopt;
    if (!merges) return keys.wrong("merges", "a list of texts");
    if (merges->empty()) model.notes.push_back("'tokenizer.ggml.merges' is empty: text is cut into single characters");
    const auto count = static_cast<int32_t>(pieces->size());
    std::vector<std::string> said;  // of bos, eos and pad by the config already
    decltype(Vocabulary::special) special;
    LAP_ASSIGN(special.bos, keys.id("bos_token_id", count, said));
    LAP_ASSIGN(special.eos, keys.id("eos_token_id", count, said));
    LAP_ASSIGN(special.pad, keys.id("padding_token_id", count, said));
    LAP_ASSIGN(special.unk, keys.id("unknown_token_id", count, model.notes));
    if (special.bos < 0 && model.config.ids.bos < count) special.bos = model.config.ids.bos;
    LAP_ASSIGN(const bool add_bos, keys.boolean("add_bos_token", true));
    auto vocabulary = vocabulary_from_lists(*pieces, types, *merges, special, add_bos);
    if (!vocabulary) return as_model_error(vocabulary.error(), gguf.parts.front().path);
    model.vocabulary = std::move(*vocabulary);
    return {};
}

void list_metadata(const Gguf& gguf, LoadedModel& model) {
    for (const auto& [key, value] : gguf.metadata)
        model.metadata.emplace_back(std::string(key), value.describe());
}

// The metadata as a file without tensors, which gguf_parse reads like any other.
std::string metadata_of(const Gguf& gguf) {
    runtime::GgufWriter out;
    for (const auto& [key, value] : gguf.metadata) out.add_value(key, value);
    return out.header();
}

std::string_view bytes_of(const SourceTensor& tensor) {
    return {reinterpret_cast<const char*>(host_bytes(*tensor.buffer) + tensor.offset), tensor.bytes};
}

// An untied head would be ignored silently otherwise; a copy of the embedding says nothing new. Without weights the
// copy is taken at its word: reading both would be the price of a load.
Result<void> refuse_own_head(TensorSource& source, bool weights) {
    const SourceTensor* head = source.find("output.weight");
    if (!head) return {};
    LAP_ASSIGN(const SourceTensor* embedding, source.take(kGgufNames.embed));
    const bool alike = head->type() == embedding->type() && head->shape == embedding->shape &&
                       head->layout == embedding->layout;
    if (alike && (!weights || bytes_of(*head) == bytes_of(*embedding))) {
        source.pass("output.weight");
        return {};
    }
    const std::string other = alike ? ""
                                    : concat(" (", head->type(), " ", shape_text(head->shape), ", the embedding is ",
                                             embedding->type(), " ", shape_text(embedding->shape), ")");
    return other_architecture(concat("tensor 'output.weight' in ", in_quotes(head->file.string()),
                                     " is an output head of its own", other, "; Gemma 4 uses the embedding"));
}

// Outside the layers, other parts that would take part in the computation.
Result<void> refuse_other_parts(const TensorSource& source) {
    for (const char* name : {"output.bias", "output.scale", "output_norm.bias", "token_embd.scale", "token_embd_norm.weight",
                             "position_embd.weight", "token_types.weight", "per_layer_token_embd.weight",
                             "per_layer_model_proj.weight", "per_layer_proj_norm.weight"})
        if (const SourceTensor* tensor = source.find(name); tensor && tensor->bytes > 0)
            return no_place_for(*tensor);
    return {};
}

Result<void> take_tensors(const Gguf& gguf, const LoadOptions& options, LoadedModel& model) {
    LAP_ASSIGN(TensorSource source, TensorSource::collect(gguf, same_name));
    if (source.find("rope_freqs.weight")) LAP_TRY(source.take("rope_freqs.weight"));  // the config read it
    LAP_TRY(refuse_own_head(source, options.weights || options.carry));
    LAP_TRY(refuse_other_parts(source));
    LAP_TRY(bind_text(source, kGgufNames, model.config, options.weights, model.weights));
    LAP_TRY(bind_media(source, kGgufNames, model.config, options.weights, model.weights));
    LAP_TRY(refuse_unused_layers(source, kGgufNames));
    if (options.weights) keep_files(source, model.weights);
    model.weights.bytes = source.used_bytes();
    list_tensors(source, kTextGroup, kGgufNames, options, model);
    if (options.carry) model.texts.emplace_back(kTextGroup, metadata_of(gguf));
    return {};
}

}  // namespace

Result<LoadedModel> load_gguf_file(const LoadOptions& options) {
    const auto extent = options.prompts_only ? runtime::Extent::front : runtime::Extent::whole;
    LAP_ASSIGN(const Gguf gguf, runtime::open_gguf(options.model, extent));
    return load_gguf_model(gguf, options);
}

Result<void> add_projector(const Gguf& projector, const LoadOptions& options, LoadedModel& model) {
    // What joined in part is gone again: whoever asks next must not take it for a projector.
    struct Joining {
        LoadedModel& model;
        bool whole = false;
        ~Joining() {
            if (whole) return;
            model.config.vision.reset();
            model.config.audio.reset();
            model.weights.vision = {};
            model.weights.audio = {};
        }
    } joining{model};
    LAP_TRY(read_projector_config(projector, model.config));
    LAP_TRY(check_projector_keys(projector, model.notes));
    const std::string file = projector.parts.front().path.string();
    LAP_TRY(check_config(model.config, file));
    LAP_TRY(check_vocabulary(model, file));
    LAP_ASSIGN(TensorSource source, TensorSource::collect(projector, same_name));
    LAP_TRY(bind_media(source, kGgufNames, model.config, options.weights, model.weights));
    if (options.weights) keep_files(source, model.weights);
    model.weights.bytes += source.used_bytes();
    for (const auto& part : projector.parts) model.files.push_back(part.path);
    list_tensors(source, kProjectorGroup, kGgufNames, options, model);
    list_metadata(projector, model);
    if (options.carry) model.texts.emplace_back(kProjectorGroup, metadata_of(projector));
    joining.whole = true;
    return {};
}

Result<LoadedModel> load_gguf_model(const Gguf& gguf, const LoadOptions& options) {
    LoadedModel model;
    model.source = "gguf";
    LAP_ASSIGN(model.config, read_gguf_config(gguf, model.notes));
    LAP_TRY(read_inner_projector(gguf, model.config));
    LAP_TRY(read_vocabulary(gguf, options.vocabulary, model));
    const std::string file = options.model.string();
    LAP_TRY(check_config(model.config, file));
    LAP_TRY(check_vocabulary(model, file));
    if (const auto* text = gguf.find("tokenizer.chat_template"))
        model.chat_template = text->text().value_or(std::string_view());
    if (auto note = note_on_template(model.chat_template); !note.empty()) model.notes.push_back(std::move(note));
    if (!options.prompts_only) LAP_TRY(take_tensors(gguf, options, model));
    for (const auto& part : gguf.parts) model.files.push_back(part.path);
    list_metadata(gguf, model);
    return model;
}

}  // namespace lapidary::model
