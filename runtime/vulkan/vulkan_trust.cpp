// Which shaders the device lets serve: each is asked for where an operation first wants it; see vulkan_device.h and trust.h.
#include <algorithm>

#include "base/describe.h"
#include "kernels/panels.h"
#include "runtime/vulkan/vulkan_device.h"

namespace lapidary::runtime::vulkan {

Reader VulkanDevice::at_work(const TensorView& weights, int64_t columns, int64_t rows, bool gated) const {
    const bool plain = weights.layout == Layout::rows;
    Reader r{.shape = products_->class_of(weights, columns), .tuning = {}, .product = {}};
    if (r.shape) r.tuning = products_->at_work(weights, columns, rows, gated);
    r.product = {.format = weights.format, .k = weights.cols, .columns = products_->columns_like(weights, columns),
                 .use = plain ? Use::projection : Use::matrix, .gated = gated,
                 .own_images = plain && products_->wants_image(weights, columns),
                 .exact_inputs = !products_->wants_image(weights, columns)};
    return r;
}

// Asks for shaders and tunings until one is trusted: what won the race, what serves without one, the shader that takes no int8
// image. Without any, the step fails. `rows`: of results that come of one dispatch.
bool VulkanDevice::trust_product(const TensorView& weights, int64_t columns, int64_t rows, bool gated) {
    if (!trust_ || !outcome_) return outcome_.has_value();
    for (;;) {
        const auto shape = products_->class_of(weights, columns);
        if (const auto decided = shape ? race_->decide(weights, columns) : Result<void>(); !decided) {
            outcome_ = decided;
            return false;
        }
        const Reader work = at_work(weights, columns, rows, gated);
        const std::string shader = products_->name_of(weights.format, weights.layout, weights.cols, columns);
        const auto passed = shape ? trust_->product(*shape, work.tuning, work.product) : trust_->product(shader, work.product);
        if (passed && *passed) return true;
        if (!passed) {
            outcome_ = passed.error();
            return false;
        }
        if (shape && race_->fall_back(*shape)) {
            forget();  // recordings have the tuning in them
        } else if (products_->disable(weights.format, weights.layout)) {
            tested_->disable(weights.format, weights.layout);
            reader_.reset();  // it may be of this format
        } else {
            outcome_ = distrust(shader);
            return false;
        }
    }
}

// What leaves the image first; where that fails, what leaves none.
bool VulkanDevice::trust_image(const char* shader, bool image, const std::function<Result<bool>(bool)>& passes) {
    if (!outcome_) return false;
    auto passed = passes(image);
    if (image && passed && !*passed) {
        image = false;
        passed = passes(false);
    }
    return trusted(shader, passed) && image;
}

// A window's ring is crossed, and the end of the fifth block of a linear cache. Which shader and which grid serve depends on the
// columns that ask, from nine on no more. An image is left only where the last product took one of as many columns: that of
// the queries stands in front, that of the output behind.
bool VulkanDevice::trust_attention(const TensorView& q, const KvView& kv) {
    const bool leaves = products_->leaves_images() && q.rows <= kSplitRows && kv.dim % kernels::kActivationGroup == 0;
    if (!trust_) return leaves;
    AttentionCase c{.format = kv.format, .kv_class = kv.kv_class, .heads = static_cast<int32_t>(q.cols / kv.dim),
                    .kv_heads = kv.kv_heads, .dim = kv.dim, .key_pairs = kv.key_pairs, .pairs = inputs_.pairs(kv.kv_class)};
    c.columns = static_cast<int32_t>(std::min<int64_t>(q.rows, 9));
    if (kv.kv_class == KvClass::window) c.window = static_cast<int32_t>(kv.table->segments[0].rows) / 4 * 4 - 16;
    c.position = c.window > 0 ? c.window + 7 : 1275;
    const bool read = leaves && reader_ && reader_->product.columns == q.rows;
    return trust_image("attention", read, [&](bool image) { return trust_->attention(c, image ? &*reader_ : nullptr); });
}

// The norm in front of a product, joined with a residual or not.
bool VulkanDevice::trust_joined_norm(const MatmulInput& in, const Reader& reader, bool image) {
    const RowsCase c{in.x.cols, reader.product.columns};
    return trust_image("norms", image, [&](bool left) { return trust_->norms(c, &reader, left); });
}

// The product that reads is like that of the next matrix, which has as many rows as these have columns.
bool VulkanDevice::trust_gated_image(const TensorView& gate, const TensorView& up, int64_t columns, RowRange rows) {
    const bool leaves = products_->leaves_images() && products_->leaves_image(gate, up, columns, rows);
    if (!trust_ || !leaves || !outcome_) return leaves;
    const Reader work = at_work(gate, columns, 2 * gate.rows, true), reader = at_work(gate, columns, gate.cols, false);
    const auto passed = trust_->product(*work.shape, work.tuning, work.product, &reader);
    if (!passed) outcome_ = passed.error();
    return passed && *passed;
}

bool VulkanDevice::trust_commit(const KvView& kv) {
    if (!trust_ || !outcome_ || !kv.scratch) return outcome_.has_value();
    AttentionCase c{.format = kv.format, .kv_class = kv.kv_class, .kv_heads = kv.kv_heads, .dim = kv.dim, .key_pairs = kv.key_pairs};
    c.window = static_cast<int32_t>(kv.table->segments[0].rows) / 4 * 4 - 16;
    return trusted("commit_kv", trust_->commit(c));
}

bool VulkanDevice::trust_norms(const RowsCase& c) {
    if (!trust_ || !outcome_) return outcome_.has_value();
    return trusted("norms", trust_->norms(c, nullptr, false));
}

bool VulkanDevice::trust_rows(const char* what, Trust::RowsTest test, const RowsCase& c) {
    if (!trust_ || !outcome_) return outcome_.has_value();
    return trusted(what, trust_->rows(what, test, c));
}

bool VulkanDevice::trusted(const std::string& shader, const Result<bool>& passed) {
    if (!passed)
        outcome_ = passed.error();
    else if (!*passed)
        outcome_ = distrust(shader);
    return outcome_.has_value();
}

Error VulkanDevice::distrust(const std::string& shader) const {
    std::string why;
    for (const auto& [test, verdict] : trust_->verdicts().failed())
        if (test.starts_with(concat(shader, " "))) why = concat(": ", test, ", ", verdict.reason);
    return {Errc::device_unavailable, concat(context_->facts().name, " (", context_->facts().driver, ") computes ", shader, " wrongly", why),
            "update the GPU's driver, or set EngineOptions::placement to cpu; `lapidary doctor` shows what passed"};
}

}  // namespace lapidary::runtime::vulkan
