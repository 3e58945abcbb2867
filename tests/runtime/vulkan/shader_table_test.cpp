// The table of shaders: whole rows that every device can take.
#include "runtime/vulkan/shader_table.h"

#include <doctest/doctest.h>

#include <set>
#include <string_view>

#include "runtime/vulkan/pipelines.h"

using namespace lapidary;
namespace {

using namespace runtime::vulkan;

TEST_CASE("shaders: names of their own, SPIR-V, and arguments that fit what every device pushes") {
    std::set<std::string_view> names;
    for (const ShaderRow& row : shader_rows()) {
        CAPTURE(row.name);
        CHECK(names.insert(row.name).second);
        REQUIRE(row.words.size() > 5);
        CHECK(row.words[0] == 0x07230203);
        CHECK(row.words[1] <= 0x00010500);  // SPIR-V 1.5 is Vulkan 1.2
        CHECK(8 * row.pointers.size() + row.scalars <= kPushBytes);
        CHECK(row.scalars % 4 == 0);
        CHECK(row.pointers.find_first_not_of("rwb") == std::string_view::npos);
        CHECK(row.pointers.find_first_of("wb") != std::string_view::npos);  // it writes something
    }
    CHECK(row_of(Shader::soft_cap).name == "soft_cap");
    CHECK(shaders_hash() != 0);
    CHECK(shaders_hash() == shaders_hash());
}

}  // namespace
