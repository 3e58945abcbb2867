// Where barriers stand, and that the checker sees where one is missing.
#include "runtime/vulkan/dispatch.h"

#include "tests/support/vulkan_rig.h"

using namespace lapidary;
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

TEST_CASE("dispatch: columns side by side do not meet, others do") {
    auto& rig = VulkanRig::get();
    const auto a = rig.poisoned(1024), b = rig.poisoned(1024);
    const auto columns = [&](uint64_t begin, uint64_t width) {  // of four rows of 256 bytes
        Range r = range_of(*a, begin, 3 * 256 + width);
        r.pitch = 256, r.width = width;
        return make_dispatch({Shader::add, {64}}, {1, 1, 1}, {r, range_of(*b, 0, 4)}, Count{1});
    };
    const auto apart = [&](uint64_t begin, uint64_t width, uint64_t other, uint64_t other_width) {
        const std::vector<Dispatch> both = {columns(begin, width), columns(other, other_width)}, turned = {both[1], both[0]};
        CHECK(place_barriers(both) == place_barriers(turned));
        return !place_barriers(both)[1];
    };
    CHECK(apart(0, 64, 64, 192));
    CHECK(apart(64, 64, 128, 128));
    CHECK_FALSE(apart(0, 68, 64, 192));
    CHECK_FALSE(apart(64, 64, 0, 256));
    CHECK_FALSE(apart(64, 64, 64, 64));
    CHECK_FALSE(apart(64, 64, 256 + 100, 8));  // the next row's
}

TEST_CASE("dispatch: what the CPU computes with is kept apart by a meeting") {
    auto& rig = VulkanRig::get();
    const auto a = rig.poisoned(256), b = rig.poisoned(256), c = rig.poisoned(256), d = rig.poisoned(256);
    Dispatch give, take;
    give.meeting = Meeting::give;
    give.ranges = {range_of(*a, 0, 256), range_of(*b, 0, 256)};  // reads a, writes b
    take.meeting = Meeting::take;
    const auto problem = [](const std::vector<Dispatch>& step) { return find_hazard(step, place_barriers(step)).value_or(""); };
    const std::vector<Dispatch> right = {add(*a, *c), give, add(*d, *c), add(*d, *a), take, add(*a, *b)};
    CHECK(place_barriers(right) == std::vector<bool>{false, true, false, true, false, true});
    CHECK(problem(right).empty());
    CHECK(find_hazard(right, {false, false, false, true, false, true}) == "the CPU (from dispatch 1 on) meets the GPU without a barrier");
    for (const Dispatch& wrong : {add(*a, *c), add(*b, *c), add(*d, *b)})  // writes what the CPU reads, or touches what it writes
        CHECK(problem({give, wrong, take}) == "add (dispatch 1) and the CPU (from dispatch 0 on) touch the same memory without a meeting between them");
    CHECK(problem({give, give, take}).find("without a meeting") != std::string::npos);
    CHECK(problem({give, add(*d, *c)}) == "the CPU (from dispatch 0 on) never has its meeting");
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
