// One tensor after the other to its device; see place.h.
#include "model/load/place.h"

#include "base/try.h"

namespace lapidary::model {
namespace {

using runtime::Device;
using runtime::Use;

std::array<TensorView*, 6> values_of(LayerWeights& l) {
    return {&l.attn_norm, &l.post_attn_norm, &l.ffn_norm, &l.post_ffn_norm, &l.q_norm, &l.k_norm};
}

enum class Source { dropped, stays, again };

Result<void> place(TensorView& tensor, Use use, Source source, Device& device, std::vector<runtime::Buffer>& buffers,
                   const runtime::ByteSink& progress = {}) {
    if (!tensor) return {};
    const bool refills = tensor.buffer->refills(), drop = source == Source::dropped || (source == Source::again && refills);
    size_t gone = 0;
    LAP_ASSIGN(runtime::Placed placed, device.place(tensor, use, [&](int64_t done) {
        if (drop && refills) {  // on the way already: an embedding is a tenth of the model
            tensor.buffer->discard(tensor.offset + gone, static_cast<size_t>(done) - gone);
            gone = static_cast<size_t>(done);
        }
        return !progress || progress(done);
    }));
    if (drop && !placed.in_source)
        tensor.buffer->discard(tensor.offset, static_cast<size_t>(tensor.bytes()));
    tensor = placed.view;
    if (placed.memory) buffers.push_back(std::move(placed.memory));
    return {};
}

Result<void> place_all(std::span<TensorView* const> tensors, Use use, Device& device, Weights& placed) {
    for (TensorView* tensor : tensors) LAP_TRY(place(*tensor, use, Source::stays, device, placed.buffers));
    placed.identity = runtime::new_identity();
    return {};
}

Use embedding_use(const Share& share) { return share.head ? Use::embedding : Use::table; }

}  // namespace

std::array<TensorView*, 7> matrices_of(LayerWeights& l) {
    return {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down};
}

Result<void> place_matrix(TensorView& matrix, Device& device, std::vector<runtime::Buffer>& buffers,
                          const runtime::ByteSink& progress) {
    return place(matrix, Use::matrix, Source::dropped, device, buffers, progress);
}

Result<Weights> place_weights(const Weights& host, const Share& share, Device& device, const PlaceSink& progress) {
    Weights placed = host;
    const Source left = share.again ? Source::again : Source::dropped;
    uint64_t done = 0;
    const auto matrix = [&](TensorView& m, Use use, Source source) -> Result<void> {
        const uint64_t bytes = m && device.moves(m, use) ? static_cast<uint64_t>(m.bytes()) : 0;
        LAP_TRY(place(m, use, source, device, placed.buffers, [&](int64_t part) {
            return !progress || progress(done + static_cast<uint64_t>(part));
        }));
        done += bytes;
        return {};
    };
    if (share.embedding) {
        const Source source = share.embedding_stays ? Source::stays : share.shared ? Source::again : left;
        LAP_TRY(matrix(placed.embed, embedding_use(share), source));
        LAP_TRY(place(placed.final_norm, Use::values, Source::stays, device, placed.buffers));
    }
    for (int32_t i = share.first; i < share.last; ++i) {
        LayerWeights& l = placed.layers[static_cast<size_t>(i)];
        for (TensorView* m : matrices_of(l)) LAP_TRY(matrix(*m, Use::matrix, left));
        for (TensorView* v : values_of(l)) LAP_TRY(place(*v, Use::values, Source::stays, device, placed.buffers));
    }
    placed.identity = runtime::new_identity();
    return placed;
}

uint64_t bytes_to_move(const Weights& host, const Share& share, const Device& device) {
    uint64_t total = 0;
    const auto add = [&](const TensorView& m, Use use) {
        if (m && device.moves(m, use)) total += static_cast<uint64_t>(m.bytes());
    };
    if (share.embedding) add(host.embed, embedding_use(share));
    for (int32_t i = share.first; i < share.last; ++i) {
        LayerWeights l = host.layers[static_cast<size_t>(i)];
        for (const TensorView* m : matrices_of(l)) add(*m, Use::matrix);
    }
    return total;
}

Result<void> place_vision(const VisionWeights& host, Device& device, Weights& placed) {
    VisionWeights& v = placed.vision = host;
    TensorView* const values[] = {&v.ln1_w, &v.ln1_b, &v.dense_b, &v.ln2_w, &v.ln2_b, &v.pos_norm_w, &v.pos_norm_b};
    TensorView* const matrices[] = {&v.dense, &v.pos_x, &v.pos_y, &v.projection};
    LAP_TRY(place_all(values, Use::values, device, placed));
    return place_all(matrices, Use::projection, device, placed);
}

Result<void> place_audio(const AudioWeights& host, Device& device, Weights& placed) {
    placed.audio = host;
    TensorView* const matrices[] = {&placed.audio.projection};
    return place_all(matrices, Use::projection, device, placed);
}

}  // namespace lapidary::model
