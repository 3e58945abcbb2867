// Which shaders may serve on a device: what its file of verdicts says, or a self-test now, announced in the file first.
#pragma once

#include <memory>
#include <string>

#include "runtime/vulkan/products.h"
#include "runtime/vulkan/self_test.h"
#include "runtime/vulkan/verdicts.h"

namespace lapidary::runtime::vulkan {

class Trust {
  public:
    // `gpu` runs the tests, `reference` is the CPU at level ref and the same precision; `tested` are the products of `gpu`.
    Trust(std::unique_ptr<Device> gpu, std::unique_ptr<Device> reference, Verdicts verdicts,
          std::shared_ptr<Products> tested)
        : gpu_(std::move(gpu)), reference_(std::move(reference)), verdicts_(std::move(verdicts)), tested_(std::move(tested)) {}

    // Whether it passes; what the driver does not compile fails. Errors are those of the file, memory that ran out, and a lost
    // device, which is a verdict at the next start.
    Result<bool> product(const std::string& shader, const ProductCase& c);
    // The same with a tuning, which is part of the test's name.
    Result<bool> product(const ShapeClass& shape, const Tuning& tuning, const ProductCase& c);
    Result<bool> attention(const AttentionCase& c);
    Result<bool> norms(const RowsCase& c);

    Verdicts& verdicts() { return verdicts_; }

  private:
    template <class Test>
    Result<bool> ask(const std::string& name, const Test& test);

    std::unique_ptr<Device> gpu_, reference_;
    Verdicts verdicts_;
    std::shared_ptr<Products> tested_;
};

}  // namespace lapidary::runtime::vulkan
