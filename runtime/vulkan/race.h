// Which tuning serves a class of products: the fastest on this device among those that pass their self-test, timed at the
// real K on a bounded number of rows. A winner is kept with the verdicts and serves from then on: results depend on it in
// their last bits. Tunings of matrices in panels only; others serve as they are.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "runtime/vulkan/commands.h"
#include "runtime/vulkan/products.h"
#include "runtime/vulkan/trust.h"

namespace lapidary::runtime::vulkan {

class Race {
  public:
    // Winners are told to `products`. `seconds`: of all races together, without the self-tests of what runs in them; once they
    // are spent, what serves untuned goes on until a later start has races left. All are borrowed.
    Race(Queue& queue, Pipelines& pipelines, Products& products, Trust& trust, double seconds)
        : queue_(queue), pipelines_(pipelines), products_(products), trust_(trust), seconds_(seconds), left_(seconds) {}

    // Sees to the tuning of a product's class, which it has (Products::class_of): the known winner, or a race now. Between
    // steps on the queue. Errors are a lost device, or those of the self-tests.
    Result<void> decide(const TensorView& weights, int64_t columns);
    // The class's tuning must not serve. Whether another one does from now on, and at the next start.
    bool fall_back(const ShapeClass& shape);

  private:
    struct Matter;  // what is multiplied
    Result<void> run(const ShapeClass& shape, const TensorView& weights, const std::vector<Tuning>& candidates, int64_t columns);
    Result<std::vector<Tuning>> passing(const ShapeClass& shape, const TensorView& weights, const std::vector<Tuning>& candidates,
                                        int64_t columns);
    // Seconds of each, the best of at least one round.
    Result<std::vector<double>> time(const ShapeClass& shape, const Matter& matter, const std::vector<Tuning>& tunings);
    void serve(const ShapeClass& shape, const Tuning& tuning, const Tuning& untuned);

    Queue& queue_;
    Pipelines& pipelines_;
    Products& products_;
    Trust& trust_;
    double seconds_, left_;
    std::map<ShapeClass, std::optional<Tuning>> decided_;  // and what serves when the winner must not
};

}  // namespace lapidary::runtime::vulkan
