// See model_check.h.
#include "tests/fuzz/model_check.h"

#include "base/utf8.h"
#include "runtime/memory/host_access.h"

namespace lapidary::fuzz {
namespace {

using model::LayerWeights;
using model::LoadedModel;
using runtime::TensorView;

volatile uint8_t g_read;

void check_view(const TensorView& view) {
    if (!view) return;
    const auto bytes = static_cast<uint64_t>(view.bytes());
    promise(view.rows > 0 && view.cols > 0, "a tensor without an extent was bound");
    promise(view.offset <= view.buffer->bytes && bytes <= view.buffer->bytes - view.offset,
            "a tensor of " + std::to_string(bytes) + " bytes at " + std::to_string(view.offset) +
                " leaves its buffer of " + std::to_string(view.buffer->bytes));
    const std::byte* data = host_bytes(view);
    g_read = static_cast<uint8_t>(data[0]) ^ static_cast<uint8_t>(data[bytes - 1]);
}

void check_views(const model::Weights& weights) {
    check_view(weights.embed);
    check_view(weights.final_norm);
    for (const LayerWeights& l : weights.layers)
        for (const TensorView* view : {&l.attn_norm, &l.post_attn_norm, &l.ffn_norm, &l.post_ffn_norm, &l.q,
                                       &l.k, &l.v, &l.o, &l.q_norm, &l.k_norm, &l.gate, &l.up, &l.down})
            check_view(*view);
    const model::VisionWeights& v = weights.vision;
    for (const TensorView* view : {&v.ln1_w, &v.ln1_b, &v.dense, &v.dense_b, &v.ln2_w, &v.ln2_b, &v.pos_x,
                                   &v.pos_y, &v.pos_norm_w, &v.pos_norm_b, &v.projection})
        check_view(*view);
    check_view(weights.audio.projection);
}

void check_sizes(const LoadedModel& model) {
    uint64_t file_bytes = 0, tensor_bytes = 0;
    for (const auto& file : model.files) file_bytes += std::filesystem::file_size(file);
    for (const auto& tensor : model.tensors) tensor_bytes += tensor.bytes;
    promise(tensor_bytes <= file_bytes, "tensors of " + std::to_string(tensor_bytes) + " bytes in files of " +
                                            std::to_string(file_bytes));
    promise(model.weights.bytes <= tensor_bytes, "the weights are more than all tensors");
    promise(!model.vocabulary || model.vocabulary->size() <= model.config.vocab, "ids beyond the embedding");
}

}  // namespace

void check_error(const Error& error) {
    promise(!error.message.empty(), "an error without a message");
    promise(error.code != Errc::ok, "an error with code ok");
    for (const std::string* text : {&error.message, &error.hint}) {
        promise(valid_utf8(*text), "an error that is not UTF-8");
        promise(text->size() < 4000, "an error of " + std::to_string(text->size()) + " bytes");
        for (const char c : *text)
            promise(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a control character in: " + *text);
    }
}

void load_and_check(const model::LoadOptions& options, bool describe) {
    const auto loaded = model::load_model(options);
    if (!loaded) check_error(loaded.error());
    if (loaded) {
        check_sizes(*loaded);
        promise(loaded->weights.layers.size() == loaded->config.layers.size(), "layers without weights");
        check_views(loaded->weights);
    }
    if (!describe) return;
    auto headers = options;
    headers.weights = false;
    const auto described = model::load_model(headers);
    if (!described) check_error(described.error());
    promise(described || !loaded, "a model that loads cannot be described");
    if (described) check_sizes(*described);
    headers.prompts_only = true;
    const auto prompts = model::load_model(headers);
    if (!prompts) check_error(prompts.error());
    promise(prompts || !loaded, "a model that loads cannot be opened for prompts");
}

}  // namespace lapidary::fuzz
