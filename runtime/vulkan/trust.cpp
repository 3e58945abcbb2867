// Names of tests, and the journal around them; see trust.h.
#include "runtime/vulkan/trust.h"

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::runtime::vulkan {

template <class Test>
Result<bool> Trust::ask(const std::string& name, const Test& test, bool exact) {
    if (const auto known = verdicts_.of(name)) return known->passed;
    LAP_TRY(verdicts_.begin(name));
    SelfTest self_test(*gpu_, exact ? *exact_ : *reference_);
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

namespace {

// The case as the tuning multiplies it.
ProductCase rounded(ProductCase c, const Tuning& tuning) {
    const auto* matrix = std::get_if<MatrixTuning>(&tuning);
    const auto* tile = std::get_if<MatmulTuning>(&tuning);
    c.half_inputs = tile && tile->half;
    c.half_weights = c.half_inputs || (matrix && matrix->kind == MatrixKind::half);
    return c;
}

const ProductCase* pointer(const std::optional<ProductCase>& reader) { return reader ? &*reader : nullptr; }

std::string name_of(const std::string& shader, const ProductCase& c, bool image) {
    return concat(shader, c.gated ? " gated" : "", image ? " image" : "", " k", c.k, " t", c.columns);
}

}  // namespace

bool tests_shader(std::string_view test, std::string_view shader) {
    // "matmul_q4_0_matrix_half" ends as the last one too.
    for (const std::string_view kind : {"matrix_int8", "matrix_half", "half"}) {
        if (!shader.ends_with(concat("_", kind))) continue;
        const std::string_view base = shader.substr(0, shader.size() - kind.size() - 1);
        return test.starts_with(concat(base, " ", kind, " ")) || test.starts_with(concat(base, "_dot ", kind, " "));
    }
    const bool other = test.find(" half ") != test.npos || test.find(" matrix_") != test.npos;
    return !other && test.starts_with(concat(shader, " "));
}

std::optional<ProductCase> Trust::prepare(const Reader* reader, bool image, int64_t k, int64_t columns) {
    tested_->leave_images(image);
    if (!reader) return std::nullopt;
    ProductCase product = rounded(reader->product, reader->tuning);
    product.k = k;
    product.columns = columns;
    if (reader->shape) tested_->tune({reader->shape->shader, k}, reader->tuning);
    return product;
}

Result<bool> Trust::product(const std::string& shader, const ProductCase& c) {
    return ask(name_of(shader, c, false), [&](SelfTest& t) { return t.product(c); }, c.exact_inputs);
}

Result<bool> Trust::product(const ShapeClass& shape, const Tuning& tuning, const ProductCase& c, const Reader* reader) {
    const auto behind = prepare(reader, reader != nullptr, kImageRows, c.columns);
    tested_->tune(shape, tuning);
    const ProductCase tested = rounded(c, tuning);
    return ask(name_of(concat(row_of(shape.shader).name, " ", name(tuning)), c, reader != nullptr),
               [&](SelfTest& t) { return t.product(tested, pointer(behind)); }, c.exact_inputs);
}

Result<bool> Trust::attention(const AttentionCase& c, const Reader* reader) {
    const auto behind = prepare(reader, reader != nullptr, int64_t{c.heads} * c.dim, c.columns);
    return ask(concat("attention", reader ? " image " : " ", name(c.format), " ", c.heads, "/", c.kv_heads, "x", c.dim,
                      c.key_pairs > 0 ? "v" : "", " w", c.window, " p", c.position, " t", c.columns),
               [&](SelfTest& t) { return t.attention(c, pointer(behind)); });
}

Result<bool> Trust::commit(const AttentionCase& c) {
    return ask(concat("commit_kv ", name(c.format), " ", c.kv_heads, "x", c.dim, c.key_pairs > 0 ? "v" : "", " w", c.window),
               [&](SelfTest& t) { return t.commit(c); });
}

Result<bool> Trust::norms(const RowsCase& c, const Reader* reader, bool image) {
    const auto behind = prepare(reader, image, c.width, c.columns);
    return ask(concat("norms", image ? " image " : reader ? " joined " : " ", c.width, " t", c.columns),
               [&](SelfTest& t) { return t.norms(c, pointer(behind)); }, reader && reader->product.exact_inputs);
}

Result<bool> Trust::rows(const char* what, RowsTest test, const RowsCase& c) {
    return ask(concat(what, " ", c.width, " t", c.columns), [&](SelfTest& t) { return (t.*test)(c); });
}

Result<bool> Trust::embed_rows(Shader shader, const EmbedCase& c) {
    return ask(concat(row_of(shader).name, " ", c.width, " t", c.columns), [&](SelfTest& t) { return t.embed_rows(c); });
}

Result<bool> Trust::top_k(const TopCase& c) {
    return ask(concat("top_k ", c.vocab, " k", c.k, " t", c.columns, c.masked ? " masked" : ""), [&](SelfTest& t) { return t.top_k(c); });
}

}  // namespace lapidary::runtime::vulkan
