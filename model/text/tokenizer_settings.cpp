// The pipeline as HF tokenizers names it: normalizer, pre_tokenizer, model, post_processor, decoder.
#include "model/text/tokenizer_settings.h"

#include <algorithm>
#include <initializer_list>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/tokenizer_reader.h"

namespace lapidary::model {
namespace {

using nlohmann::json;

const json kNothing;

const json& at(const json& object, const char* key) {
    if (!object.is_object()) return kNothing;
    const auto found = object.find(key);
    return found == object.end() ? kNothing : *found;
}

std::string text_at(const json& object, const char* key) {
    const json& value = at(object, key);
    return value.is_string() ? value.get<std::string>() : std::string();
}

bool flag_at(const json& object, const char* key, bool fallback) {
    const json& value = at(object, key);
    return value.is_boolean() ? value.get<bool>() : fallback;
}

std::string quoted(const json& value) {
    return in_double_quotes(value.is_string() ? value.get<std::string>()
                                              : value.dump(-1, ' ', true, json::error_handler_t::replace));
}

// The steps of a "Sequence", or the one step that it is; null has none.
std::vector<json> steps_of(const json& part, const char* list_key) {
    if (part.is_null()) return {};
    const json& list = at(part, list_key);
    if (text_at(part, "type") != "Sequence" || !list.is_array()) return {part};
    return list.get<std::vector<json>>();
}

bool replaces(const json& step, const char* from, const char* to) {
    return text_at(step, "type") == "Replace" && at(step, "pattern") == json{{"String", from}} && text_at(step, "content") == to;
}

Result<void> check_normalizer(const json& part) {
    const auto steps = steps_of(part, "normalizers");
    bool writes_spaces = false;
    for (const json& step : steps) {
        if (!replaces(step, " ", "\u2581"))
            return unsupported_tokenizer("the normalizer has the step " + quoted(at(step, "type")) +
                                         ", and all it may do is to write a space as U+2581");
        writes_spaces = true;
    }
    if (!writes_spaces) return unsupported_tokenizer("the normalizer does not write a space as U+2581");
    return {};
}

// After the normalizer there is no space left to split at, so Gemma's own step never does anything.
Result<void> check_pre_tokenizer(const json& part) {
    for (const json& step : steps_of(part, "pretokenizers")) {
        const bool idle = text_at(step, "type") == "Split" && at(step, "pattern") == json{{"String", " "}} &&
                          !flag_at(step, "invert", false);
        if (!idle) return unsupported_tokenizer("the pre_tokenizer has the step " + quoted(at(step, "type")) +
                                                ", which cuts text in another way than Gemma 4");
    }
    return {};
}

Result<void> check_decoder(const json& part) {
    for (const json& step : steps_of(part, "decoders")) {
        const std::string type = text_at(step, "type");
        if (replaces(step, "\u2581", " ") || type == "ByteFallback" || type == "Fuse") continue;
        return unsupported_tokenizer("the decoder has the step " + quoted(at(step, "type")) +
                                     ", which writes text in another way than Gemma 4");
    }
    return {};
}

// What is put around a text; whoever encodes asks for the begin-of-text token (EncodeOptions).
void note_post_processor(const json& part, std::vector<std::string>& notes) {
    for (const json& step : steps_of(part, "processors")) {
        if (text_at(step, "type") != "TemplateProcessing") {
            notes.push_back("tokenizer.json: the post_processor " + quoted(at(step, "type")) + " is not used");
            continue;
        }
        for (const json& item : at(step, "single")) {
            const json& added = at(at(item, "SpecialToken"), "id");
            if (!added.is_null() && added != "<bos>")
                notes.push_back("tokenizer.json: the post_processor adds " + quoted(added) + " to a text, which is not done here");
        }
    }
}

bool is_empty(const json& value) { return value.is_null() || value == "" || value == 0 || value == false; }

Result<void> check_model(const json& model) {
    if (at(model, "type") != "BPE")
        return unsupported_tokenizer("the model type is " + quoted(json(text_at(model, "type"))) + ", not \"BPE\"");
    if (!flag_at(model, "byte_fallback", false)) return unsupported_tokenizer("byte_fallback is off");
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"})
        if (!is_empty(at(model, key)))
            return unsupported_tokenizer("the model's " + std::string(key) + " is " + quoted(at(model, key)));
    return {};
}

// One sentence about the keys that are none of `known` and have a value.
void note_others(const json& object, const std::string& where, std::initializer_list<std::string_view> known,
                 std::vector<std::string>& notes) {
    std::vector<std::string> names;
    if (!object.is_object()) return;
    for (const auto& [key, value] : object.items()) {
        if (value.is_null() || std::find(known.begin(), known.end(), key) != known.end()) continue;
        names.push_back(quoted(json(key)));
    }
    if (!names.empty()) notes.push_back(where + ": not used: " + short_list(names));
}

Result<std::vector<JsonAddedToken>> read_added(const json& list) {
    std::vector<JsonAddedToken> out;
    if (list.is_null()) return out;
    if (!list.is_array()) return bad_tokenizer("added_tokens is not a list");
    for (const json& item : list) {
        JsonAddedToken token;
        if (at(item, "id").is_number_integer()) token.id = at(item, "id").get<int64_t>();
        token.content = text_at(item, "content");
        token.special = flag_at(item, "special", true);
        token.strip_left = flag_at(item, "lstrip", false);
        token.strip_right = flag_at(item, "rstrip", false);
        if (flag_at(item, "single_word", false))
            return unsupported_tokenizer("the added token " + quoted(at(item, "content")) +
                                         " is to stand for single words only (single_word)");
        // The normalizer changes spaces alone, so this is the same before it and after it, but for two cases.
        const bool normalized = flag_at(item, "normalized", false);
        const bool has_mark = token.content.find("\u2581") != std::string::npos;
        if (normalized && (token.strip_left || token.strip_right || has_mark))
            return unsupported_tokenizer("the added token " + quoted(at(item, "content")) +
                                         " is to be looked for after spaces were replaced (normalized)");
        out.push_back(std::move(token));
    }
    return out;
}

// A special token's text: a string, or an object with "content".
std::string token_text(const json& config, const char* key, std::string fallback) {
    const json& value = at(config, key);
    if (value.is_string()) return value.get<std::string>();
    if (at(value, "content").is_string()) return text_at(value, "content");
    return fallback;
}

}  // namespace

Result<TokenizerSettings> read_tokenizer_settings(const json& settings, std::vector<std::string>& notes) {
    const json& model = at(settings, "model");
    LAP_TRY(check_model(model));
    LAP_TRY(check_normalizer(at(settings, "normalizer")));
    LAP_TRY(check_pre_tokenizer(at(settings, "pre_tokenizer")));
    LAP_TRY(check_decoder(at(settings, "decoder")));
    note_post_processor(at(settings, "post_processor"), notes);
    // With all 256 byte pieces nothing is ever unknown; truncation and padding are for who encodes in batches.
    note_others(model, "tokenizer.json model",
                {"type", "byte_fallback", "dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges",
                 "unk_token", "fuse_unk", "vocab", "merges"},
                notes);
    note_others(settings, "tokenizer.json",
                {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "model",
                 "post_processor", "decoder"},
                notes);
    TokenizerSettings out;
    LAP_ASSIGN(out.added, read_added(at(settings, "added_tokens")));
    out.unk_token = text_at(model, "unk_token");
    return out;
}

Result<TokenizerConfig> read_tokenizer_config(std::string_view text, std::vector<std::string>& notes) {
    TokenizerConfig out;
    if (text.empty()) return out;
    const json config = json::parse(text.begin(), text.end(), nullptr, false);
    if (!config.is_object())
        return Error{Errc::bad_model_file, "tokenizer_config.json is not a JSON object", "fetch the file again"};
    out.bos = token_text(config, "bos_token", out.bos);
    out.eos = token_text(config, "eos_token", out.eos);
    out.pad = token_text(config, "pad_token", out.pad);
    out.unk = token_text(config, "unk_token", out.unk);
    out.add_bos = flag_at(config, "add_bos_token", false);
    for (const char* key : {"add_eos_token", "split_special_tokens", "clean_up_tokenization_spaces", "add_prefix_space",
                            "do_lower_case", "remove_space", "strip_accents"})
        if (!is_empty(at(config, key)))
            notes.push_back("tokenizer_config.json: " + std::string(key) + " is " + quoted(at(config, key)) +
                            ", which is not done here");
    return out;
}

}  // namespace lapidary::model
