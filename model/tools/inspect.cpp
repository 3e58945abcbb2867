// What a model file holds and which kernels will serve it.
#include <new>

#include "base/describe.h"
#include "base/try.h"
#include "kernels/select.h"
#include "lapidary/tools.h"
#include "model/engine_state.h"

namespace lapidary {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string list(const std::vector<int32_t>& ids) {
    constexpr size_t kShown = 32;
    return short_list(ids, kShown);
}

std::string number(double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
}

void describe_layers(const model::ModelConfig& c, Fields& rows) {
    std::string pattern;
    for (const auto& l : c.layers) pattern += l.kind == model::LayerKind::sliding ? 's' : 'F';
    rows.push_back({"layers", std::to_string(c.layers.size()) + " (" + pattern + ": s sliding, F full)"});
    for (const auto kind : {model::LayerKind::sliding, model::LayerKind::full}) {
        for (const auto& l : c.layers) {
            if (l.kind != kind) continue;
            const model::RopeConfig& r = c.rope(kind);
            rows.push_back({kind == model::LayerKind::sliding ? "sliding layers" : "full layers",
                            std::to_string(l.kv_heads) + " kv heads of " + std::to_string(l.head_dim) +
                                (l.k_eq_v ? ", keys as values" : "") + ", rope theta " + number(r.theta) + ", " +
                                std::to_string(r.pairs) + " of " + std::to_string(l.head_dim / 2) + " pairs"});
            break;
        }
    }
}

Fields describe(const model::ModelConfig& c) {
    Fields rows{{"name", c.name},
              {"hidden", std::to_string(c.hidden)},
              {"feed-forward", std::to_string(c.ffn)},
              {"vocabulary", std::to_string(c.vocab)},
              {"query heads", std::to_string(c.heads)}};
    describe_layers(c, rows);
    rows.push_back({"window", std::to_string(c.window)});
    rows.push_back({"context", std::to_string(c.context)});
    rows.push_back({"soft cap", c.soft_cap > 0 ? number(c.soft_cap) : "none"});
    rows.push_back({"picture blocks", c.vision_blocks ? "bidirectional in sliding layers" : "causal"});
    if (c.vision)
        rows.push_back({"pictures", std::to_string(c.vision->model_patch) + " x " +
                                        std::to_string(c.vision->model_patch) + " pixels per token, " +
                                        std::to_string(c.vision->soft_tokens) + " tokens each"});
    if (c.audio)
        rows.push_back({"sound", std::to_string(c.audio->samples_per_token) + " samples per token"});
    rows.push_back({"stop ids", list(c.stop_ids)});
    rows.push_back({"suppressed ids", list(c.suppress_ids)});
    rows.push_back({"sampling", "temperature " + number(c.sampling.temperature) + ", top-k " +
                                    std::to_string(c.sampling.top_k) + ", top-p " + number(c.sampling.top_p) +
                                    ", min-p " + number(c.sampling.min_p)});
    return rows;
}

// "avx512:panel_matmul_q4_0", and who multiplies few columns, if somebody else.
std::string in_words(const runtime::KernelChoice& c) {
    return c.many + ":" + c.operation + (c.few == c.many ? "" : ", few columns " + c.few);
}

// Two-dimensional tensors are matmul operands, everything else is expanded to f32 at load. Layer matrices and
// the embedding move into panels where the level has them; the projector stays as it lies in the file.
std::string kernel_for(const model::SourceTensor& t, const model::EngineState& state) {
    if (!t.used) return "not used";
    if (t.shape.size() != 2 || t.shape[0] <= 1) return "f32 vector";
    const bool packed = t.name.find("layers.") != std::string::npos || t.name.starts_with("blk.") ||
                        t.name.ends_with("embed_tokens.weight") || t.name == "token_embd.weight";
    for (int f = 0; f < kernels::kFormats; ++f) {
        const auto format = static_cast<kernels::Format>(f);
        if (t.type() != kernels::name(format)) continue;
        const runtime::TensorView matrix{nullptr, 0, format, t.shape[0], t.shape[1], 0};
        return in_words(state.device().kernels_of(matrix, packed ? runtime::Use::matrix : runtime::Use::projection));
    }
    return "none";
}

}  // namespace

Result<ModelReport> inspect(const EngineOptions& options) try {
    const auto started = std::chrono::steady_clock::now();
    LAP_ASSIGN(auto loaded, model::load_model(
                                {.model = options.model, .mmproj = options.mmproj, .companions = true}));
    LAP_ASSIGN(const Engine engine, make_engine(options, std::move(loaded), started, Packing::never, cpu_part));
    ModelReport report;
    report.info = engine.info();
    const model::EngineState& state = model::Access::state(engine);
    report.config = describe(state.loaded.config);
    report.metadata = state.loaded.metadata;
    report.files = state.loaded.files;
    report.chat_template = state.loaded.chat_template;
    report.text_problem = state.tokenizer ? "" : state.loaded.vocabulary_problem;
    for (const auto& t : state.loaded.tensors)
        report.tensors.push_back(
            {t.name, t.type(), kernel_for(t, state), t.file.filename().string(), t.shape, t.bytes});
    return report;
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
