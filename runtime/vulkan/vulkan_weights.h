// Weights to the device: into panels where shaders multiply them, else as the rows that they are; always a copy, in blocks
// that many weights share. The source may go. `shared`: in memory that the CPU device multiplies from too.
#pragma once

#include <memory>
#include <vector>

#include "runtime/cpu/thread_pool.h"
#include "runtime/device.h"
#include "runtime/vulkan/products.h"
#include "runtime/vulkan/transfers.h"

namespace lapidary::runtime::vulkan {

class VulkanWeights {
  public:
    VulkanWeights(Transfers& transfers, std::shared_ptr<Context> context, const Products& products, bool shared)
        : transfers_(transfers), context_(std::move(context)), products_(products), shared_(shared) {}

    // As Device::place and kernels_of.
    Result<Placed> place(const TensorView& host, Use use, const ByteSink& progress);
    KernelChoice kernels_of(const TensorView& host, Use use) const;
    void rest();  // no more weights for now: the threads that pack go

  private:
    Result<std::shared_ptr<VulkanBuffer>> take(uint64_t bytes);
    Layout layout_of(const TensorView& host, Use use) const;

    Transfers& transfers_;
    std::shared_ptr<Context> context_;
    const Products& products_;
    bool shared_;
    struct Open {  // weights are put into it, up to `used`
        std::shared_ptr<Block> block;
        uint64_t used = 0;
    };
    std::vector<Open> open_;
    uint64_t taken_ = 0;
    std::unique_ptr<ThreadPool> packers_;  // there while weights come
};

}  // namespace lapidary::runtime::vulkan
