// Names of tests, and the journal around them; see trust.h.
#include "runtime/vulkan/trust.h"

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::runtime::vulkan {

template <class Test>
Result<bool> Trust::ask(const std::string& name, const Test& test) {
    if (const auto known = verdicts_.of(name)) return known->passed;
    LAP_TRY(verdicts_.begin(name));
    SelfTest self_test(*gpu_, *reference_);
    const Result<void> outcome = test(self_test);
    const Errc code = outcome.error().code;
    if (code == Errc::device_lost) return outcome.error();  // the announcement stays: the next start does not try again
    if (code != Errc::ok && code != Errc::internal && code != Errc::device_unavailable) {
        LAP_TRY(verdicts_.withdraw());
        return outcome.error();
    }
    LAP_TRY(verdicts_.finish(name, outcome.has_value(), outcome.error().message));
    return outcome.has_value();
}

Result<bool> Trust::product(const std::string& shader, const ProductCase& c) {
    return ask(concat(shader, c.gated ? " gated" : "", " k", c.k, " t", c.columns), [&](SelfTest& t) { return t.product(c); });
}

Result<bool> Trust::product(const ShapeClass& shape, const Tuning& tuning, const ProductCase& c) {
    tested_->tune(shape, tuning);
    ProductCase tested = c;
    const auto* matrix = std::get_if<MatrixTuning>(&tuning);
    tested.half_weights = matrix && matrix->kind == MatrixKind::half;
    return product(concat(row_of(shape.shader).name, " ", name(tuning)), tested);
}

Result<bool> Trust::attention(const AttentionCase& c) {
    return ask(concat("attention ", name(c.format), " ", c.heads, "/", c.kv_heads, "x", c.dim, c.key_pairs > 0 ? "v" : "", " w",
                      c.window, " p", c.position, " t", c.columns),
               [&](SelfTest& t) { return t.attention(c); });
}

Result<bool> Trust::norms(const RowsCase& c) {
    return ask(concat("norms ", c.width, " t", c.columns), [&](SelfTest& t) { return t.norms(c); });
}

}  // namespace lapidary::runtime::vulkan
