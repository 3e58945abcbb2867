// Bounds and divisibilities of a ModelConfig; see config_check.h.
#include "model/load/config_check.h"

#include <cmath>
#include <utility>

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::model {
namespace {

class Checker {
  public:
    explicit Checker(const std::string& file) : file_(file) {}

    Error bad(const std::string& what) const {
        return {Errc::bad_model_file, concat(in_quotes(file_), ": ", what),
                "no model of this architecture has such a configuration; convert the model again, or fetch it again"};
    }
    Result<void> range(const char* what, int64_t value, int64_t low, int64_t high) const {
        if (value < low || value > high) return bad(concat(what, " is ", value, ", possible is ", low, " to ", high));
        return {};
    }
    Result<void> eps(const char* what, float value) const {
        if (!(value > 0 && value < 1)) return bad(concat(what, " is ", value, ", not between 0 and 1"));
        return {};
    }

  private:
    const std::string& file_;
};

Result<void> check_layers(const Checker& check, const ModelConfig& config) {
    LAP_TRY(check.range("the number of layers", static_cast<int64_t>(config.layers.size()), 1, kMaxLayers));
    int32_t head_dims[2] = {0, 0};  // of sliding and full layers: each kind shares one rotary embedding
    for (size_t i = 0; i < config.layers.size(); i++) {
        const LayerConfig& layer = config.layers[i];
        const std::string where = concat(" of layer ", i);
        LAP_TRY(check.range(concat("the head size", where).c_str(), layer.head_dim, 2, kMaxHeadDim));
        if (layer.head_dim % 2 != 0) return check.bad(concat("the head size", where, " is odd: ", layer.head_dim));
        LAP_TRY(check.range(concat("the number of key heads", where).c_str(), layer.kv_heads, 1, kMaxHeads));
        if (config.heads % layer.kv_heads != 0)
            return check.bad(concat(config.heads, " heads cannot share the ", layer.kv_heads, " key heads", where));
        int32_t& shared = head_dims[static_cast<int>(layer.kind)];
        if (shared != 0 && shared != layer.head_dim)
            return check.bad(concat("the head size", where, " is ", layer.head_dim,
                                    ", other layers of its kind have ", shared));
        shared = layer.head_dim;
    }
    for (const LayerKind kind : {LayerKind::sliding, LayerKind::full}) {
        const RopeConfig& rope = config.rope(kind);
        const int32_t head_dim = head_dims[static_cast<int>(kind)];
        if (head_dim == 0) continue;  // no layer of this kind
        if (!std::isfinite(rope.theta) || rope.theta < 1)
            return check.bad(concat("a rotary base is ", rope.theta, ", not a number from 1"));
        LAP_TRY(check.range("the number of rotating pairs", rope.pairs, 0, head_dim / 2));
    }
    return {};
}

Result<void> check_ids(const Checker& check, const ModelConfig& config) {
    const TokenIds& ids = config.ids;
    const struct {
        const char* what;
        int32_t value;
    } all[] = {
        {"the begin-of-text id", ids.bos},
        {"the padding id", ids.pad},
        {"the image id", ids.image},
        {"the begin-of-image id", ids.begin_image},
        {"the end-of-image id", ids.end_image},
        {"the audio id", ids.audio},
        {"the begin-of-audio id", ids.begin_audio},
        {"the end-of-audio id", ids.end_audio},
        {"the video id", ids.video},
    };
    for (const auto& entry : all) LAP_TRY(check.range(entry.what, entry.value, -1, config.vocab - 1));
    for (const int32_t id : config.stop_ids) LAP_TRY(check.range("an end-of-reply id", id, 0, config.vocab - 1));
    for (const int32_t id : config.suppress_ids) LAP_TRY(check.range("a suppressed id", id, 0, config.vocab - 1));
    return {};
}

Result<void> check_media(const Checker& check, const ModelConfig& config) {
    if (config.vision) {
        const VisionConfig& vision = *config.vision;
        LAP_TRY(check.range("the patch size", vision.patch_size, 1, 1024));
        LAP_TRY(check.range("the patch pooling", vision.pooling, 1, 64));
        LAP_TRY(check.range("the pixels of a soft token", vision.model_patch, 1, 1024));
        if (vision.model_patch != vision.patch_size * vision.pooling)
            return check.bad(concat("a soft token of ", vision.model_patch, " pixels is not ", vision.pooling,
                                    " patches of ", vision.patch_size));
        LAP_TRY(check.range("the vision width", vision.embed_dim, 1, kMaxWidth));
        LAP_TRY(check.range("the picture positions", vision.positions, 1, kMaxWidth));
        LAP_TRY(check.range("the soft tokens of a picture", vision.soft_tokens, 1, kMaxWidth));
        LAP_TRY(check.range("the soft tokens of a video frame", vision.video_soft_tokens, 1, kMaxWidth));
        LAP_TRY(check.eps("the vision norm's epsilon", vision.rms_eps));
    }
    if (config.audio) {
        LAP_TRY(check.range("the samples of a soft token", config.audio->samples_per_token, 1, kMaxWidth));
        if (config.audio->sample_rate != 16000)  // what recordings are resampled to
            return check.bad(concat("the sample rate is ", config.audio->sample_rate, ", possible is 16000"));
        LAP_TRY(check.eps("the audio norm's epsilon", config.audio->rms_eps));
    }
    return check.range("the frames of a video", config.video_frames, 1, 1 << 16);
}

}  // namespace

Error other_architecture(std::string what) {
    return {Errc::unsupported_model, std::move(what),
            "this program runs Gemma 4 12B Unified and other sizes of that architecture"};
}

Result<void> check_config(const ModelConfig& config, const std::string& file) {
    const Checker check(file);
    LAP_TRY(check.range("the hidden size", config.hidden, 1, kMaxWidth));
    LAP_TRY(check.range("the feed-forward size", config.ffn, 1, kMaxWidth));
    LAP_TRY(check.range("the vocabulary size", config.vocab, 1, kMaxVocab));
    LAP_TRY(check.range("the number of heads", config.heads, 1, kMaxHeads));
    LAP_TRY(check.range("the context length", config.context, 1, kMaxPositions));
    LAP_TRY(check.range("the sliding window", config.window, 1, kMaxPositions));
    LAP_TRY(check.eps("the norm's epsilon", config.rms_eps));
    if (!std::isfinite(config.soft_cap) || config.soft_cap < 0)
        return check.bad(concat("the logit soft cap is ", config.soft_cap));
    LAP_TRY(check_layers(check, config));
    LAP_TRY(check_ids(check, config));
    return check_media(check, config);
}

}  // namespace lapidary::model
