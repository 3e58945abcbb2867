// Sizes of a tensor from its shape, and finding one by name.
#include "runtime/file/file_tensor.h"

#include <doctest/doctest.h>

#include "kernels/panels.h"

using namespace lapidary::runtime;

TEST_CASE("file tensor: rows are all axes but the innermost") {
    const FileTensor scalar, cube{.name = "cube", .shape = {2, 3, 4}};
    CHECK(scalar.rows() == 1);
    CHECK(scalar.values() == 1);
    CHECK(scalar.bytes_as(Format::f32, Layout::rows) == 4);
    CHECK(cube.rows() == 6);
    CHECK(cube.cols() == 4);
    CHECK(cube.values() == 24);
    CHECK(cube.bytes_as(Format::bf16, Layout::rows) == 48);
}

TEST_CASE("file tensor: panels only for shapes that have them, the last one whole") {
    const FileTensor matrix{.name = "matrix", .shape = {20, 256}};
    CHECK(matrix.can_lie_in_panels(Format::q4_0));
    CHECK_FALSE(matrix.can_lie_in_panels(Format::q5_k));
    CHECK_FALSE(FileTensor{.name = "narrow", .shape = {5, 32}}.can_lie_in_panels(Format::q4_0));
    CHECK_FALSE(FileTensor{.name = "vector", .shape = {256}}.can_lie_in_panels(Format::q4_0));
    const auto panel = static_cast<uint64_t>(lapidary::kernels::panel_bytes(Format::q4_0, 256));
    CHECK(matrix.bytes_as(Format::q4_0, Layout::panels) == 2 * panel);
}

TEST_CASE("file tensor: types that are not read have their own names") {
    CHECK(FileTensor{.name = "a", .format = Format::q4_0}.type() == "q4_0");
    CHECK(FileTensor{.name = "a", .foreign_type = "TQ1_0"}.type() == "TQ1_0");
    FileTensors files;
    files.tensors = {{.name = "a"}, {.name = "b", .shape = {3}}};
    CHECK(files.find_tensor("b")->shape.size() == 1);
    CHECK(files.find_tensor("c") == nullptr);
}
