// Where barriers stand, and that the checker sees where one is missing.
#include "runtime/vulkan/dispatch.h"

#include "tests/support/vulkan_rig.h"

namespace lapidary {
namespace {

using namespace runtime::vulkan;
using test::VulkanRig;

struct Count {
    uint32_t count;
    float cap = 30.0f;
};

Dispatch add(const VulkanBuffer& x, const VulkanBuffer& y) {
    const auto n = static_cast<uint32_t>(x.bytes / 4);
    return make_dispatch({Shader::add, {64}}, {(n + 63) / 64, 1, 1}, {range_of(x, 0, x.bytes), range_of(y, 0, y.bytes)}, Count{n});
}

TEST_CASE("dispatch: barriers stand between writers and readers, and nowhere else") {
    auto& rig = VulkanRig::get();
    const auto a = rig.upload(std::vector<float>(100, 1.0f)), b = rig.upload(std::vector<float>(100, 2.0f));
    const auto c = rig.upload(std::vector<float>(100, 3.0f));
    const std::vector<Dispatch> chain = {add(*a, *b), add(*c, *b), add(*b, *a), add(*c, *a)};
    const auto barriers = place_barriers(chain);
    CHECK(barriers == std::vector<bool>{false, false, true, false});
    CHECK_FALSE(find_hazard(chain, barriers));
    const auto found = find_hazard(chain, std::vector<bool>(4, false));
    REQUIRE(found);
    CHECK(*found == "add (dispatch 2) and add (dispatch 0) touch the same memory without a barrier between them");
    rig.run(chain);
    CHECK(rig.download<float>(*a) == std::vector<float>(100, 3.0f));
    CHECK(rig.download<float>(*b) == std::vector<float>(100, 5.0f));
    CHECK(rig.download<float>(*c) == std::vector<float>(100, 8.0f));
}

TEST_CASE("dispatch: parts of a buffer that do not meet need no barrier") {
    auto& rig = VulkanRig::get();
    const auto a = rig.poisoned(512), b = rig.poisoned(512);
    const auto half = [&](uint64_t offset) {
        return make_dispatch({Shader::add, {64}}, {1, 1, 1}, {range_of(*a, offset, 256), range_of(*b, 0, 256)}, Count{64});
    };
    const std::vector<Dispatch> apart = {half(0), half(256)}, meeting = {half(0), half(252)};
    CHECK(place_barriers(apart) == std::vector<bool>{false, false});
    CHECK(place_barriers(meeting) == std::vector<bool>{false, true});
}

TEST_CASE("dispatch: what is not of the row's form is refused") {
    auto& rig = VulkanRig::get();
    const auto a = rig.poisoned(256);
    Dispatch d = add(*a, *a);
    d.scalars.pop_back();
    CHECK(find_hazard(std::vector<Dispatch>{d}, {false}));
    d = add(*a, *a);
    d.ranges.pop_back();
    CHECK(find_hazard(std::vector<Dispatch>{d}, {false}));
}

}  // namespace
}  // namespace lapidary
