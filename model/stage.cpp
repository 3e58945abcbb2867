// Which recording serves a stage, and where stages end.
#include "model/stage.h"

namespace lapidary::model {

std::vector<Stage> cut(std::span<const Stage> stages, std::span<const int32_t> observed) {
    std::vector<Stage> out;
    for (const Stage& s : stages) {
        int32_t first = s.first;
        for (const int32_t layer : observed) {
            if (layer < first || layer + 1 >= s.last) continue;
            out.push_back({s.device, s.net, s.kv, s.ws, first, layer + 1, s.recorder});
            first = layer + 1;
        }
        out.push_back({s.device, s.net, s.kv, s.ws, first, s.last, s.recorder});
    }
    return out;
}

runtime::StepKey key_of(const Stage& s, const Step& step, bool given) {
    runtime::StepKey key{.shape = shape_of(s.net.config, step, given), .first_layer = s.first, .last_layer = s.last};
    if (s.first > 0 && !given) key.shape.row_width = 0;  // the residual is here already
    if (!s.ends_model()) key.shape.leaving = key.shape.rows_wanted = key.shape.scored = key.shape.candidates = key.shape.mask_words = 0;
    key.weights = s.net.weights.identity;
    key.cache = s.kv.identity();
    key.workspace = s.ws.identity;
    return key;
}

}  // namespace lapidary::model
