// Every self-test beside shaders that are right, with each of its dispatches left out, and with shaders whose int8 images
// or order are wrong.
#include "runtime/vulkan/self_test.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "kernels/panels.h"
#include "kernels/select.h"
#include "runtime/cpu/cpu_device.h"
#include "tests/support/vulkan_chain.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::VulkanFaults;

const ProductCase kReader{.format = Format::q4_0, .k = 256, .columns = 2};

AttentionCase heads(int32_t position) {
    return {.heads = 2, .kv_heads = 1, .dim = 256, .pairs = 128, .position = position, .columns = 2};
}

struct Test {
    const char* what;  // is tested, or the shader that is wrong
    std::function<Result<void>(SelfTest&)> run;
};

ProductCase reader(int64_t k) {
    ProductCase c = kReader;
    c.k = k;
    return c;
}

Result<void> gated(SelfTest& t) {
    const ProductCase behind = reader(kImageRows);
    return t.product({.format = Format::q4_0, .k = 256, .columns = 2, .gated = true}, &behind);
}
Result<void> attention(SelfTest& t) {
    const ProductCase behind = reader(512);
    return t.attention(heads(300), &behind);
}
Result<void> norms(SelfTest& t) { return t.norms({256, 2}, &kReader); }

const std::vector<Test> kTests = {
    {"product", [](SelfTest& t) { return t.product({.format = Format::q6_k, .k = 256, .columns = 2}); }},
    {"gated product", gated},
    {"attention", attention},
    {"a ring's rows", [](SelfTest& t) { return t.commit({.kv_class = KvClass::window, .kv_heads = 2, .dim = 64, .window = 32}); }},
    {"norms joined with a product", norms},
    {"norms", [](SelfTest& t) { return t.norms({300, 2}); }},
    {"bare norm", [](SelfTest& t) { return t.bare_norm({300, 2}); }},
    {"layer norm", [](SelfTest& t) { return t.layer_norm({300, 2}); }},
    {"add", [](SelfTest& t) { return t.add({300, 2}); }},
    {"soft cap", [](SelfTest& t) { return t.soft_cap({300, 2}); }},
    {"input rows", [](SelfTest& t) { return t.input_rows({300, 1}); }},
    {"input rows without id", [](SelfTest& t) { return t.input_rows_without_id({300, 3}); }},
    {"embedding", [](SelfTest& t) { return t.embed_rows({.format = Format::q4_0, .width = 512, .columns = 3}); }},
    {"top k", [](SelfTest& t) { return t.top_k({.vocab = 5000, .columns = 2, .k = 33}); }},
    {"top k of some", [](SelfTest& t) { return t.top_k({.vocab = 5000, .columns = 1, .k = 7, .masked = true}); }},
};

struct Subject {
    explicit Subject(const VulkanFaults& faults, bool precise = false)
        : gpu(test::make_device(faults, {.precise = precise})), cpu(*kernels::select("ref", nullptr), 1, precise), test(*gpu, cpu) {}
    // Scratch gets other contents than the tests leave there.
    void stir() {
        const ProductCase wide = reader(768);
        REQUIRE(test.norms({768, 2}, &wide));
        REQUIRE(test.attention(heads(40)));
        REQUIRE(test.top_k({.vocab = 6001, .columns = 2, .k = 40}));
    }
    std::unique_ptr<VulkanDevice> gpu;
    CpuDevice cpu;
    SelfTest test;
};

TEST_CASE("self-test: each passes, and sees every single dispatch that is left out") {
    VulkanFaults faults;
    Subject subject(faults);
    for (const Test& t : kTests) {
        CAPTURE(std::string(t.what));
        faults.dispatches.never();
        const auto right = t.run(subject.test);
        CHECK_MESSAGE(right, right.error().message);
        const int64_t dispatches = faults.dispatches.calls;
        CHECK(dispatches > 0);
        for (int64_t n = 1; n <= dispatches; ++n) {
            CAPTURE(n);
            faults.dispatches.never();
            subject.stir();
            faults.dispatches.once(n, VK_SUCCESS);
            const auto wrong = t.run(subject.test);
            CHECK(wrong.error().code == Errc::internal);
            CHECK(wrong.error().message.find(" instead of ") != std::string::npos);
        }
    }
}

// The workgroups of a gated product count themselves in memory that grows with its rows, and that the driver gives as it is.
TEST_CASE("self-test: what a gated product counts in begins at zero, however often it grows, and when zeroing it failed") {
    const auto product = [](SelfTest& t, int64_t k, int64_t columns) {
        ProductCase behind = reader(kImageRows);
        behind.columns = columns;
        return t.product({.format = Format::q4_0, .k = k, .columns = columns, .gated = true}, &behind);
    };
    VulkanFaults faults;
    Subject subject(faults);
    for (const int64_t k : {256, 15360, 32768, 65536}) {
        CAPTURE(k);
        const auto right = product(subject.test, k, k > 256 ? 4 : 1);
        CHECK_MESSAGE(right, right.error().message);
    }
    bool failed = true;
    for (int64_t n = 1; failed; ++n) {
        CAPTURE(n);
        REQUIRE(n < 20);
        Subject other(faults);
        faults.submit.once(n, VK_ERROR_OUT_OF_DEVICE_MEMORY);
        failed = !product(other.test, 15360, 4);
        faults.submit.never();
        const auto right = product(other.test, 15360, 4);
        CHECK_MESSAGE(right, right.error().message);
    }
}

TEST_CASE("self-test: a product reads the image that was left, and sees when it alone is wrong") {
    if (!test::VulkanRig::get().can(Shader::matvec_q4_0_dot)) {
        MESSAGE("not run: matvec_q4_0_dot");
        return;
    }
    const Test cases[] = {
        {"attention_merge", attention}, {"matvec_q4_0_dot", gated}, {"add_norm_image", norms}, {"rms_norm_image", norms}};
    for (const Test& t : cases) {
        CAPTURE(std::string(t.what));
        VulkanFaults faults;
        faults.shaders = {{t.what, test::spoil_image}};
        Subject subject(faults);
        const auto wrong = t.run(subject.test);
        CHECK(wrong.error().code == Errc::internal);
        CHECK(wrong.error().message.find("the product behind: column ") == 0);
        Subject floats(faults, true);  // nothing leaves an image, nothing is wrong
        const auto right = t.run(floats.test);
        CHECK_MESSAGE(right, right.error().message);
    }
}

TEST_CASE("self-test: rows of the embedding in every format and layout") {
    VulkanFaults faults;
    Subject subject(faults);
    for (int i = 0; i < kernels::kFormats; ++i)
        for (const Use use : {Use::embedding, Use::projection}) {
            const auto format = static_cast<Format>(i);
            if (use == Use::embedding && !kernels::has_panels(format)) continue;
            CAPTURE(kernels::name(format));
            const auto right = subject.test.embed_rows({.format = format, .use = use, .width = 512, .columns = 1});
            CHECK_MESSAGE(right, right.error().message);
        }
}

TEST_CASE("self-test: of equal scores the order counts, and as many as the model has are sorted") {
    VulkanFaults faults;
    {
        Subject subject(faults);
        const auto right = subject.test.top_k({.vocab = 262144, .columns = 1, .k = 64});
        CHECK_MESSAGE(right, right.error().message);
    }
    faults.shaders = {{"top_k", test::spoil_order}};
    Subject subject(faults);
    const auto wrong = subject.test.top_k({.vocab = 1000, .columns = 1, .k = 5});
    CHECK(wrong.error().message.find("top k of equal scores: column 0, candidate ") == 0);
}

}  // namespace
