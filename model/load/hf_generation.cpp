// Field names are those of transformers' GenerationConfig; see hf_generation.h.
#include "model/load/hf_generation.h"

#include "base/describe.h"
#include "base/try.h"
#include "model/load/json_fields.h"
#include "model/load/sampling_defaults.h"
#include "model/load/special_ids.h"

namespace lapidary::model {
namespace {

using nlohmann::json;

void read_sampling(const JsonFields& fields, SamplingDefaults& sampling, std::vector<std::string>& notes) {
    const SamplingDefaults published = sampling;
    sampling = usable_sampling({fields.number("temperature", published.temperature), fields.number("top_p", published.top_p),
                                fields.number("min_p", published.min_p), fields.integer("top_k", published.top_k)},
                               fields.where(), notes);
    const auto sample = fields.boolean("do_sample", true);
    if (!sample) notes.push_back(sample.error().message + "; replies are sampled");
    if (sample && !*sample) sampling.temperature = 0;  // greedy
}

// Ways to sample that this program lacks, and the values with which they do nothing.
void pass_neutral_settings(const JsonFields& fields) {
    for (const char* key : {"typical_p", "top_h", "repetition_penalty", "encoder_repetition_penalty", "num_beams",
                            "num_beam_groups", "guidance_scale", "num_return_sequences", "length_penalty"})
        fields.neutral(key, 1);
    for (const char* key : {"epsilon_cutoff", "eta_cutoff", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
                            "diversity_penalty", "penalty_alpha", "min_length", "min_new_tokens"})
        fields.neutral(key, 0);
    for (const char* key : {"renormalize_logits", "remove_invalid_values", "token_healing", "early_stopping"})
        fields.neutral(key, false);
    for (const char* key : {"bad_words_ids", "begin_suppress_tokens", "stop_strings", "constraints", "force_words_ids"})
        fields.neutral(key, json::array());
    fields.neutral("sequence_bias", json::object());
}

}  // namespace

Result<void> read_hf_generation(const TextFiles& files, ModelConfig& config, std::vector<std::string>& notes) {
    constexpr const char* kName = "generation_config.json";
    if (!files.has(kName)) return {};
    LAP_ASSIGN(const json file, files.read_json(kName));
    const JsonFields fields(file, in_quotes(files.where(kName)));
    LAP_ASSIGN(std::vector<int32_t> stop_ids, fields.integers("eos_token_id"));
    drop_ids_beyond(stop_ids, config.vocab, concat(fields.where(), ": eos_token_id"), notes);
    if (!stop_ids.empty()) config.stop_ids = std::move(stop_ids);
    LAP_ASSIGN(config.suppress_ids, fields.integers("suppress_tokens"));
    drop_ids_beyond(config.suppress_ids, config.vocab, concat(fields.where(), ": suppress_tokens"), notes);
    LAP_ASSIGN(config.ids.bos, fields.integer("bos_token_id", config.ids.bos));
    LAP_ASSIGN(config.ids.pad, fields.integer("pad_token_id", config.ids.pad));
    read_sampling(fields, config.sampling, notes);
    pass_neutral_settings(fields);
    // How fast, not what: caches, compilation, guessing ahead, and what generate() returns beside the text.
    fields.without_effect({"use_cache", "cache_implementation", "cache_config", "max_cache_len", "use_mtp",
                           "output_attentions", "output_hidden_states", "output_scores", "output_logits",
                           "return_dict_in_generate", "is_assistant", "num_assistant_tokens",
                           "num_assistant_tokens_schedule", "assistant_confidence_threshold", "prompt_lookup_num_tokens",
                           "max_matching_ngram_size", "assistant_early_exit", "assistant_lookbehind", "target_lookbehind",
                           "assistant_ensemble_weight", "speculation_type", "compile_config", "disable_compile",
                           "continuous_batching_config", "low_memory", "prefill_chunk_size", "_from_model_config",
                           "transformers_version", "decoder_start_token_id"});
    fields.note_rest(notes);
    return {};
}

}  // namespace lapidary::model
