// The file of verdicts: what it keeps, what makes it void, and that a test which never came back is a verdict.
#include "runtime/vulkan/verdicts.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include <unistd.h>

#include "base/describe.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
namespace {

using runtime::vulkan::DeviceFacts;
using runtime::vulkan::Verdicts;
using runtime::vulkan::verdict_file_name;

DeviceFacts some_device() {
    DeviceFacts facts;
    facts.uuid = "00112233";
    facts.driver = "driver 1.2";
    facts.driver_version = 7;
    facts.vendor = 0x1002;
    facts.device = 0x15bf;
    return facts;
}

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("verdicts: kept in a file, with winners of races") {
    const test::ScratchFolder folder;
    const auto file = folder.path() / "cache" / verdict_file_name(some_device());
    {
        auto v = Verdicts::open(file, some_device());
        CHECK(v.count() == 0);
        REQUIRE(v.begin("a"));
        REQUIRE(v.finish("a", true, ""));
        REQUIRE(v.begin("b"));
        REQUIRE(v.finish("b", false, "value 3 is nan"));
        REQUIRE(v.record("race", "64x2", 1.5));
    }
    const auto v = Verdicts::open(file, some_device());
    REQUIRE(v.of("a"));
    CHECK(v.of("a")->passed);
    REQUIRE(v.of("b"));
    CHECK_FALSE(v.of("b")->passed);
    CHECK(v.of("b")->reason == "value 3 is nan");
    CHECK_FALSE(v.of("c"));
    CHECK(v.winner("race") == "64x2");
    CHECK(v.failed().size() == 1);
}

TEST_CASE("verdicts: a test that was announced and never came back has failed") {
    const test::ScratchFolder folder;
    const auto file = folder.path() / "gpu.json";
    {
        auto v = Verdicts::open(file, some_device());
        REQUIRE(v.begin("good"));
        REQUIRE(v.finish("good", true, ""));
        REQUIRE(v.begin("hangs"));
        CHECK(text_of(file).find("\"testing\"") != std::string::npos);
    }
    const auto v = Verdicts::open(file, some_device());
    CHECK(v.of("good")->passed);
    REQUIRE(v.of("hangs"));
    CHECK_FALSE(v.of("hangs")->passed);
    CHECK(v.of("hangs")->reason == "did not come back from its self-test");
}

TEST_CASE("verdicts: a test that another process is at has no verdict yet") {
    const test::ScratchFolder folder;
    const auto file = folder.path() / "gpu.json";
    REQUIRE(Verdicts::open(file, some_device()).begin("slow"));
    const std::string own = concat("\"process\": ", ::getpid()), text = text_of(file);
    REQUIRE(text.find(own) != std::string::npos);
    const auto of_process = [&](int64_t id) {
        std::string changed = text;
        folder.write("gpu.json", changed.replace(text.find(own), own.size(), concat("\"process\": ", id)));
        return Verdicts::open(file, some_device()).of("slow");
    };
    CHECK_FALSE(of_process(::getppid()));
    for (const int64_t gone : {int64_t{INT32_MAX}, int64_t{0}, int64_t{-1}, int64_t{1} << 40}) {
        REQUIRE(of_process(gone));
        CHECK_FALSE(of_process(gone)->passed);
    }
}

TEST_CASE("verdicts: another driver, device or damage begins anew") {
    const test::ScratchFolder folder;
    const auto file = folder.path() / "gpu.json";
    auto first = Verdicts::open(file, some_device());
    REQUIRE(first.begin("a"));
    REQUIRE(first.finish("a", true, ""));
    DeviceFacts newer = some_device();
    newer.driver_version = 8;
    CHECK(Verdicts::open(file, newer).count() == 0);
    DeviceFacts other = some_device();
    other.uuid = "44";
    CHECK(Verdicts::open(file, other).count() == 0);
    CHECK(Verdicts::open(file, some_device()).count() == 1);
    CHECK(verdict_file_name(newer) != verdict_file_name(some_device()));

    const std::string whole = text_of(file);
    for (const std::string& damaged : {whole.substr(0, whole.size() / 2), std::string("[]"), std::string("\xff\x00", 2), std::string(),
                                       std::string(R"({"format": "1"})")}) {
        std::ofstream(file, std::ios::trunc) << damaged;
        CHECK(Verdicts::open(file, some_device()).count() == 0);
    }
}

// What stands in the file in the wrong types is left out, one by one.
TEST_CASE("verdicts: odd values are as none") {
    const test::ScratchFolder folder;
    const auto file = folder.path() / "gpu.json";
    auto v = Verdicts::open(file, some_device());
    REQUIRE(v.begin("a"));
    REQUIRE(v.finish("a", true, ""));
    REQUIRE(v.record("r", "w", 1.0));
    std::string text = text_of(file);
    for (const auto& [from, to] : {std::pair{"\"pass\"", "3"}, {"1.0", "\"x\""}}) {
        const auto at = text.find(from);
        REQUIRE(at != std::string::npos);
        text.replace(at, std::string(from).size(), to);
    }
    std::ofstream(file, std::ios::trunc) << text;
    const auto odd = Verdicts::open(file, some_device());
    CHECK_FALSE(odd.of("a"));
    CHECK(odd.winner("r") == "w");
}

TEST_CASE("verdicts: a file that cannot be written is an error before the test, not after") {
    const test::ScratchFolder folder;
    std::ofstream(folder.path() / "taken") << "a file";
    auto v = Verdicts::open(folder.path() / "taken" / "gpu.json", some_device());
    const auto begun = v.begin("a");
    REQUIRE_FALSE(begun);
    CHECK(begun.error().message.find("taken") != std::string::npos);
    auto none = Verdicts::open({}, some_device());
    CHECK(none.begin("a"));
    CHECK(none.finish("a", true, ""));
    CHECK(none.of("a")->passed);
}

}  // namespace
