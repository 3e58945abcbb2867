// Hands the weights of a model to a device, tensor by tensor: the pages of a mapped source are given back as soon as a
// tensor stands elsewhere, so that both never are in memory together.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "lapidary/result.h"
#include "model/weights.h"
#include "runtime/device.h"

namespace lapidary::model {

// The layers that a device computes, and what stands at the model's ends. The embedding is the head too; where another
// device still needs it, its source stays.
struct Share {
    int32_t first = 0, last = 0;  // layers [first, last)
    bool embedding = true, embedding_stays = false;
    bool head = true;    // else the embedding is a table of rows here, which may stay in its source
    bool shared = false; // another device's table may lie in the embedding's source
    bool again = false;  // the sources will be asked for again: of these only pages of files are given back
};

// How many source bytes are done by now; false stops with `cancelled`.
using PlaceSink = std::function<bool(uint64_t done)>;

// The share of the weights as the device wants them; the others stay as they are and must not be computed with.
Result<Weights> place_weights(const Weights& host, const Share& share, runtime::Device& device,
                              const PlaceSink& progress);
// The source bytes that this moves.
uint64_t bytes_to_move(const Weights& host, const Share& share, const runtime::Device& device);

// What serves pictures and sound, as far as it is there, into `placed`.
Result<void> place_vision(const VisionWeights& host, runtime::Device& device, Weights& placed);
Result<void> place_audio(const AudioWeights& host, runtime::Device& device, Weights& placed);

// One matrix of a layer or the embedding; its memory joins `buffers`.
Result<void> place_matrix(TensorView& matrix, runtime::Device& device, std::vector<runtime::Buffer>& buffers,
                          const runtime::ByteSink& progress = {});

std::array<TensorView*, 7> matrices_of(LayerWeights& layer);  // v may be empty

}  // namespace lapidary::model
