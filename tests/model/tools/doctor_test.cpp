#include <doctest/doctest.h>

#include <cstdlib>

#include "lapidary/tools.h"
#include "tests/support/goldens.h"

using namespace lapidary;
using namespace lapidary::test;

TEST_CASE("doctor: one level is selected, built and supported, and LAPIDARY_CPU lowers it") {
    const auto selected = [] {
        std::string name;
        for (const IsaReport& level : unwrap(doctor()).isa) {
            if (!level.selected) continue;
            CHECK(name.empty());
            CHECK(level.built);
            CHECK(level.supported);
            name = level.name;
        }
        return name;
    };
    CHECK(!selected().empty());
    setenv("LAPIDARY_CPU", "ref", 1);
    CHECK(selected() == "ref");
    CHECK(!unwrap(doctor()).advice.empty());
    setenv("LAPIDARY_CPU", "sse9", 1);
    const auto refused = doctor();
    unsetenv("LAPIDARY_CPU");
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::invalid_argument);
    CHECK(refused.error().message.find("sse9") != std::string::npos);
}

TEST_CASE("doctor: LAPIDARY_THREADS counts, and nonsense in it is named") {
    setenv("LAPIDARY_THREADS", "3", 1);
    CHECK(unwrap(doctor()).threads == 3);
    for (const char* bad : {"0", "two", "-1", "99999"}) {
        setenv("LAPIDARY_THREADS", bad, 1);
        const auto refused = doctor();
        REQUIRE(!refused);
        CHECK(refused.error().code == Errc::invalid_argument);
        CHECK(refused.error().message.find(bad) != std::string::npos);
    }
    unsetenv("LAPIDARY_THREADS");
}

TEST_CASE("doctor: machine and kernels are described") {
    const DoctorReport r = unwrap(doctor());
    CHECK(r.cores >= 1);
    CHECK(!r.cpu.empty());
    CHECK(r.memory_total_bytes >= r.memory_free_bytes);
    CHECK((r.memory_limit_bytes > 0) == !r.memory_limit_from.empty());
    CHECK(r.power.starts_with(r.on_battery ? "battery" : "mains"));
    CHECK(r.power.ends_with(r.power_profile));
    CHECK(r.kernels.size() > 40);
    CHECK(r.version == version());
}

TEST_CASE("doctor: the bundled model is looked for beside the program") {
    const auto path = bundled_model();  // a test binary has none
    if (!path) CHECK(path.error().code == Errc::model_not_found);
    if (path) CHECK(std::filesystem::exists(*path / "config.json"));
}
