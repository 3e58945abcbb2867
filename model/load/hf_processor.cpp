// Field names are those of transformers' Gemma4Unified processors; see hf_processor.h.
#include "model/load/hf_processor.h"

#include <cmath>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/json_fields.h"

namespace lapidary::model {
namespace {

using nlohmann::json;

constexpr const char* kProcessor = "processor_config.json";
constexpr const char* kOlder = "preprocessor_config.json";

// The settings of one input, with the name of the place they were found in.
struct Section {
    json values = json::object();
    std::string where;
};

// What is done otherwise than the file asks for; the first such setting counts.
class Difference {
  public:
    explicit Difference(const JsonFields& fields) : fields_(fields) {}

    void require(bool same, const char* key, const std::string& done) {
        if (same || !text_.empty()) return;
        text_ = concat(fields_.where(), ": this program does not obey ", key, "; ", done);
    }
    const std::string& text() const { return text_; }

  private:
    const JsonFields& fields_;
    std::string text_;
};

// Whether a field, one number or a list of them, is absent or this number everywhere.
Result<bool> all_are(const JsonFields& fields, const char* key, double number) {
    const json* value = fields.get(key);
    if (!value) return true;
    bool same = true;
    for (const json& item : value->is_array() ? *value : json::array({*value})) {
        if (!item.is_number()) return fields.wrong(key, "a number or a list of them");
        same &= item.get<double>() == number;
    }
    return same;
}

bool is_bicubic(const JsonFields& fields) {
    const json* value = fields.get("resample");
    constexpr int kBicubic = 3;  // PIL's number
    return !value || *value == kBicubic || *value == "bicubic" || *value == "BICUBIC";
}

Result<void> read_pictures(const JsonFields& fields, VisionConfig& vision) {
    Difference difference(fields);
    LAP_ASSIGN(const bool resize, fields.boolean("do_resize", true));
    difference.require(resize, "do_resize false", "pictures are resized to the budget of tokens");
    difference.require(is_bicubic(fields), "resample", "pictures are resized by the bicubic filter (3)");
    LAP_ASSIGN(const bool rescale, fields.boolean("do_rescale", true));
    LAP_ASSIGN(const double factor, fields.number("rescale_factor", 1.0 / 255));
    difference.require(rescale, "do_rescale false", "pixels become numbers from 0 to 1");
    difference.require(std::abs(factor * 255 - 1) < 1e-6, "rescale_factor", "pixels are divided by 255");
    LAP_ASSIGN(const bool normalize, fields.boolean("do_normalize", false));
    LAP_ASSIGN(const bool no_shift, all_are(fields, "image_mean", 0));
    LAP_ASSIGN(const bool no_scale, all_are(fields, "image_std", 1));
    difference.require(!normalize || (no_shift && no_scale), "do_normalize", "pixels are not normalised");
    LAP_ASSIGN(const bool crop, fields.boolean("do_center_crop", false));
    difference.require(!crop, "do_center_crop", "the whole picture is used");
    LAP_ASSIGN(const bool pad, fields.boolean("do_pad", false));
    difference.require(!pad, "do_pad", "pictures are not padded");
    LAP_ASSIGN(const int32_t patch, fields.integer("patch_size", vision.patch_size));
    difference.require(patch == vision.patch_size, "patch_size",
                       concat("patches have ", vision.patch_size, " pixels as in config.json"));
    LAP_ASSIGN(const int32_t pooling, fields.integer("pooling_kernel_size", vision.pooling));
    difference.require(pooling == vision.pooling, "pooling_kernel_size",
                       concat(vision.pooling, " patches are pooled as in config.json"));
    LAP_ASSIGN(vision.soft_tokens, fields.integer("max_soft_tokens", vision.soft_tokens));
    const int32_t budget = vision.soft_tokens;
    difference.require(budget == 70 || budget == 140 || budget == 280 || budget == 560 || budget == 1120,
                       "max_soft_tokens", "pictures take 70, 140, 280, 560 or 1120 tokens");
    vision.problem = difference.text();
    // Pixels are RGB whatever the file held. A `size` is named as not used: pictures go by the budget of tokens.
    fields.without_effect({"do_convert_rgb", "default_to_square", "crop_size", "pad_size", "data_format",
                           "input_data_format", "device", "disable_grouping", "return_tensors", "image_seq_length",
                           "image_processor_type", "processor_class"});
    return {};
}

Result<void> read_recordings(const JsonFields& fields, AudioConfig& audio) {
    Difference difference(fields);
    LAP_ASSIGN(const int32_t rate, fields.integer("sampling_rate", audio.sample_rate));
    difference.require(rate == audio.sample_rate, "sampling_rate",
                       concat("recordings have ", audio.sample_rate, " samples a second"));
    for (const char* key : {"feature_size", "audio_samples_per_token"}) {
        LAP_ASSIGN(const int32_t samples, fields.integer(key, audio.samples_per_token));
        difference.require(samples == audio.samples_per_token, key,
                           concat("a token has ", audio.samples_per_token, " samples as in config.json"));
    }
    LAP_ASSIGN(const double padding, fields.number("padding_value", 0.0));
    difference.require(padding == 0, "padding_value", "the last token is filled up with zeros");
    LAP_ASSIGN(const std::string side, fields.text("padding_side", "right"));
    difference.require(side == "right", "padding_side", "the last token is filled up on the right");
    LAP_ASSIGN(const bool normalize, fields.boolean("do_normalize", false));
    difference.require(!normalize, "do_normalize", "samples are not normalised");
    LAP_ASSIGN(const double dither, fields.number("dither", 0.0));
    difference.require(dither == 0, "dither", "samples stay as they are");
    audio.problem = difference.text();
    fields.without_effect({"return_attention_mask", "feature_extractor_type", "processor_class", "return_tensors"});
    return {};
}

// Where a section of processor_config.json is missing, the older file stands for it as a whole.
Result<Section> find_section(const TextFiles& files, const JsonFields& processor, const char* key) {
    LAP_ASSIGN(const json* own, processor.object(key));
    if (own) return Section{*own, concat(processor.where(), " ", key)};
    if (!files.has(kOlder)) return Section{json::object(), concat(processor.where(), " ", key)};
    Section older;
    LAP_ASSIGN(older.values, files.read_json(kOlder));
    older.where = in_quotes(files.where(kOlder));
    return older;
}

Result<void> read_videos(const JsonFields& processor, ModelConfig& config) {
    LAP_ASSIGN(const json* section, processor.object("video_processor"));
    if (!section) return {};
    const JsonFields fields(*section, processor.where() + " video_processor");
    LAP_ASSIGN(config.video_frames, fields.integer("num_frames", config.video_frames));
    if (config.video_frames < 1) return fields.wrong("num_frames", "a number from 1");
    if (!config.vision) return {};
    LAP_ASSIGN(config.vision->video_soft_tokens, fields.integer("max_soft_tokens", config.vision->video_soft_tokens));
    if (config.vision->video_soft_tokens < 1) return fields.wrong("max_soft_tokens", "a number from 1");
    return {};
}

}  // namespace

Result<void> read_hf_processor(const TextFiles& files, ModelConfig& config, std::vector<std::string>& notes) {
    json file = json::object();
    if (files.has(kProcessor)) {
        LAP_ASSIGN(file, files.read_json(kProcessor));
    }
    const JsonFields processor(file, in_quotes(files.where(kProcessor)));
    LAP_ASSIGN(const Section pictures, find_section(files, processor, "image_processor"));
    LAP_ASSIGN(const Section recordings, find_section(files, processor, "feature_extractor"));
    LAP_TRY(read_videos(processor, config));
    const JsonFields picture_fields(pictures.values, pictures.where);
    const JsonFields sound_fields(recordings.values, recordings.where);
    if (config.vision) LAP_TRY(read_pictures(picture_fields, *config.vision));
    if (config.audio) LAP_TRY(read_recordings(sound_fields, *config.audio));
    if (pictures.where == recordings.where) {  // one flat file for both: each knows the other's keys
        picture_fields.also_asked(sound_fields);
    } else if (config.audio) {
        sound_fields.note_rest(notes);
    }
    if (config.vision) picture_fields.note_rest(notes);
    // Counts of other programs' prompts; ours follow from the picture and the recording themselves. Values that say the
    // same are passed, others are named.
    processor.without_effect({"processor_class", "chat_template", "auto_map"});
    constexpr int32_t kClipTokens = 750;  // 30 s of the published model
    processor.neutral("audio_seq_length", kClipTokens);
    if (config.vision) processor.neutral("image_seq_length", config.vision->soft_tokens);
    if (config.audio) {
        const AudioConfig& audio = *config.audio;
        processor.neutral("audio_ms_per_token", audio.samples_per_token * 1000.0 / audio.sample_rate);
    }
    processor.note_rest(notes);
    if (config.vision && !config.vision->problem.empty())
        notes.push_back(concat(config.vision->problem, ", so that pictures are refused"));
    if (config.audio && !config.audio->problem.empty())
        notes.push_back(concat(config.audio->problem, ", so that recordings are refused"));
    return {};
}

}  // namespace lapidary::model
