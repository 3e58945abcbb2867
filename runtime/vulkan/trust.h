// Which shaders may serve on a device: what its file of verdicts says, or a self-test now, announced in the file first.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/vulkan/products.h"
#include "runtime/vulkan/self_test.h"
#include "runtime/vulkan/verdicts.h"

namespace lapidary::runtime::vulkan {

// A product behind an operation, as it serves there. Tests take its format and tuning, and its columns if they need them.
struct Reader {
    std::optional<ShapeClass> shape;
    Tuning tuning;
    ProductCase product;
};

// Whether a test of this name ran this shader: of tiles of f16 and matrices the names begin with the shader that serves
// without them.
bool tests_shader(std::string_view test, std::string_view shader);

class Trust {
  public:
    // `gpu` runs the tests, `reference` is the CPU at level ref and the same precision, `exact` the same and precise; `tested` are
    // the products of `gpu`.
    Trust(std::unique_ptr<Device> gpu, std::unique_ptr<Device> reference, std::unique_ptr<Device> exact, Verdicts verdicts,
          std::shared_ptr<Products> tested)
        : gpu_(std::move(gpu)), reference_(std::move(reference)), exact_(std::move(exact)), verdicts_(std::move(verdicts)),
          tested_(std::move(tested)) {}

    // Whether it passes; what the driver does not compile fails. Errors are those of the file, memory that ran out, and a lost
    // device, which is a verdict at the next start.
    Result<bool> product(const std::string& shader, const ProductCase& c);
    // The same with a tuning, which is part of the test's name. With a reader the gated product leaves the int8 image of its
    // results to that; so do attention and norms. The image is what is tested then, for any reader.
    Result<bool> product(const ShapeClass& shape, const Tuning& tuning, const ProductCase& c, const Reader* reader = nullptr);
    Result<bool> attention(const AttentionCase& c, const Reader* reader);
    Result<bool> commit(const AttentionCase& c);
    // Without an image the reader takes the normed rows as they are; null: nothing reads them.
    Result<bool> norms(const RowsCase& c, const Reader* reader, bool image);
    using RowsTest = Result<void> (SelfTest::*)(const RowsCase&);
    Result<bool> rows(const char* what, RowsTest test, const RowsCase& c);
    Result<bool> embed_rows(Shader shader, const EmbedCase& c);
    Result<bool> top_k(const TopCase& c);

    Verdicts& verdicts() { return verdicts_; }

  private:
    template <class Test>
    Result<bool> ask(const std::string& name, const Test& test, bool exact = false);
    // The test's device is told to leave images or not, and to multiply as the reader does.
    std::optional<ProductCase> prepare(const Reader* reader, bool image, int64_t k, int64_t columns);

    std::unique_ptr<Device> gpu_, reference_, exact_;
    Verdicts verdicts_;
    std::shared_ptr<Products> tested_;
};

}  // namespace lapidary::runtime::vulkan
