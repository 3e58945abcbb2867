// One row of each matrix tells fine-tuned models apart; see identity.h.
#include "model/load/identity.h"

#include <xxhash.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "kernels/panels.h"
#include "kernels/select.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/mapping.h"

namespace lapidary::model {
namespace {

using runtime::Layout;

class Digest {
  public:
    Digest() : state_(XXH3_createState(), XXH3_freeState) {
        if (!state_) throw std::bad_alloc();
        XXH3_128bits_reset(state_.get());
    }
    void add(const void* bytes, size_t count) { XXH3_128bits_update(state_.get(), bytes, count); }
    void add(int64_t number) { add(&number, sizeof number); }
    void add_row(const TensorView& m) {
        add(m.rows);
        add(m.cols);
        if (!m) return;
        add(static_cast<int64_t>(m.format));
        const std::byte* blocks = runtime::host_bytes(m);
        const bool panels = m.layout == Layout::panels;
        const auto row_bytes = static_cast<size_t>(kernels::row_bytes(m.format, m.cols));
        if (m.buffer->refills())
            runtime::read_alone(blocks, panels ? static_cast<size_t>(kernels::panel_bytes(m.format, m.cols)) : row_bytes);
        std::vector<std::byte> row;
        if (panels) {
            row.resize(row_bytes);
            kernels::select("ref", nullptr)->unpack_panel_row[static_cast<size_t>(m.format)](blocks, m.cols, 0, row.data());
            blocks = row.data();
        }
        add(blocks, row_bytes);
    }
    std::string text() const {
        const XXH128_hash_t sum = XXH3_128bits_digest(state_.get());
        char digits[33];
        std::snprintf(digits, sizeof digits, "%016llx%016llx", static_cast<unsigned long long>(sum.high64), static_cast<unsigned long long>(sum.low64));
        return digits;
    }

  private:
    std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

}  // namespace

std::string identity_of(const ModelConfig& config, const Weights& sources) {
    Digest digest;
    for (const int64_t number : {config.hidden, config.ffn, config.vocab, config.heads, config.window}) digest.add(number);
    for (const RopeConfig& rope : {config.sliding_rope, config.full_rope}) {
        digest.add(&rope.theta, sizeof rope.theta);
        digest.add(rope.pairs);
    }
    digest.add_row(sources.embed);
    digest.add_row(sources.final_norm);
    for (size_t i = 0; i < sources.layers.size(); ++i) {
        const LayerWeights& l = sources.layers[i];
        digest.add(static_cast<int64_t>(config.layers[i].kind));
        digest.add(&l.scale, sizeof l.scale);
        for (const TensorView& t : {l.attn_norm, l.post_attn_norm, l.ffn_norm, l.post_ffn_norm, l.q_norm, l.k_norm, l.q, l.k, l.v, l.o, l.gate, l.up, l.down})
            digest.add_row(t);
    }
    return digest.text();
}

}  // namespace lapidary::model
