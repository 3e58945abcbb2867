// Every shader of the table through the compiler of a GPU that need not be there: Mesa's driver for AMD makes a device for
// a name (RADV_FORCE_FAMILY; up to Mesa 25), which compiles and runs nothing.
#include "runtime/vulkan/compiler_report.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/vulkan/pipelines.h"

using namespace lapidary;
namespace {

using namespace runtime::vulkan;

// Sets a variable, and puts what was there back.
class Environment {
  public:
    Environment(const char* name, const std::string& value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        setenv(name, value.c_str(), 1);
    }
    ~Environment() { before_.empty() ? unsetenv(name_) : setenv(name_, before_.c_str(), 1); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    const char* name_;
    std::string before_;
};

std::string driver_for_amd() {
    for (const char* folder : {"/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d"}) {
        std::error_code none;
        for (const auto& entry : std::filesystem::directory_iterator(folder, none))
            if (entry.path().filename().string().starts_with("radeon_icd")) return entry.path().string();
    }
    return {};
}

// Null, with a message, where this driver shows no such device.
std::shared_ptr<Context> open_imagined() {
    const std::string driver = driver_for_amd();
    if (driver.empty()) {
        MESSAGE("Mesa's driver for AMD is not here: not tested");
        return nullptr;
    }
    const Environment files("VK_ICD_FILENAMES", driver), newer("VK_DRIVER_FILES", driver);
    const Environment family("RADV_FORCE_FAMILY", "navi21");  // a name that all releases know
    const auto instance = Instance::create();
    const auto devices = instance ? list_devices(**instance) : std::vector<DeviceFacts>();
    const auto found = std::find_if(devices.begin(), devices.end(), [](const DeviceFacts& d) {
        return d.name.find("NAVI21") != std::string::npos;
    });
    if (found == devices.end()) {
        MESSAGE("Mesa's driver for AMD makes no device for a name here: not tested");
        return nullptr;
    }
    const auto context = Context::create(*instance, *found, true);
    REQUIRE_MESSAGE(context, context.error().message);
    return *context;
}

double statistic(const CompilerReport& report, const std::string& name) {
    for (const CompilerStatistic& s : report.statistics)
        if (s.name == name) return s.value;
    FAIL("no statistic called ", name);
    return 0;
}

CompilerReport report_on(const Context& context, Pipelines& pipelines, Shader shader) {
    const auto pipeline = pipelines.get({shader, {256}});
    REQUIRE_MESSAGE(pipeline, pipeline.error().message);
    auto report = compiler_report(context, *pipeline);
    REQUIRE_MESSAGE(report, report.error().message);
    return std::move(*report);
}

TEST_CASE("a GPU's compiler takes every shader, and keeps it in registers") {
    const auto context = open_imagined();
    if (!context) return;
    const auto pipelines = Pipelines::create(context, {});
    REQUIRE(pipelines);
    for (size_t i = 0; i < shader_rows().size(); ++i) {
        const ShaderRow& row = shader_rows()[i];
        CAPTURE(row.name);
        if (row.needs & ~context->facts().needs()) {
            MESSAGE("not compiled: " << std::string(row.name));
            continue;
        }
        const CompilerReport report = report_on(*context, **pipelines, static_cast<Shader>(i));
        CHECK(statistic(report, "VGPRs") > 0);
        CHECK(statistic(report, "Spilled VGPRs") == 0);
        CHECK(statistic(report, "Scratch size") == 0);
    }
}

TEST_CASE("attention keeps tiles of 8 rows in registers, at the model's heads and in every format") {
    const auto context = open_imagined();
    if (!context) return;
    const auto pipelines = Pipelines::create(context, {});
    REQUIRE(pipelines);
    for (const Shader shader : {Shader::attention_f16, Shader::attention_q8_0, Shader::attention_f32})
        for (const std::vector<uint32_t>& constants : {std::vector<uint32_t>{256, 256, 8, 0, 2}, {256, 512, 8, 64, 1}}) {
            CAPTURE(row_of(shader).name);
            const auto pipeline = (*pipelines)->get({shader, constants});
            REQUIRE_MESSAGE(pipeline, pipeline.error().message);
            const auto report = compiler_report(*context, *pipeline);
            REQUIRE_MESSAGE(report, report.error().message);
            CHECK(statistic(*report, "Spilled VGPRs") == 0);
            CHECK(statistic(*report, "Scratch size") == 0);
            CHECK(statistic(*report, "LDS size") <= 32768);
        }
}

TEST_CASE("products keep their sums in registers, at most of them and in every format of panels") {
    const auto context = open_imagined();
    if (!context) return;
    const auto pipelines = Pipelines::create(context, {});
    REQUIRE(pipelines);
    using Pair = std::pair<Shader, Shader>;
    for (const auto& [few, many] : {Pair{Shader::matvec_q4_0_dot, Shader::matmul_q4_0_dot}, {Shader::matvec_q8_0_dot, Shader::matmul_q8_0_dot},
                                    {Shader::matvec_q4_k_dot, Shader::matmul_q4_k_dot}, {Shader::matvec_q6_k_dot, Shader::matmul_q6_k_dot}})
        for (const PipelineKey& key : {PipelineKey{few, {64, 8, 1, 1}}, {few, {64, 4, 1, 2}}, {many, {256, 128, 128, 8}}}) {
            CAPTURE(row_of(key.shader).name);
            const auto pipeline = (*pipelines)->get(key);
            REQUIRE_MESSAGE(pipeline, pipeline.error().message);
            const auto report = compiler_report(*context, *pipeline);
            REQUIRE_MESSAGE(report, report.error().message);
            CHECK(statistic(*report, "Spilled VGPRs") == 0);
            CHECK(statistic(*report, "Scratch size") == 0);
            if (key.shader == few) CHECK(statistic(*report, "VGPRs") <= 128);
        }
}

TEST_CASE("packed dot products are one instruction, loads of 16 bytes are one") {
    const auto context = open_imagined();
    if (!context) return;
    const auto pipelines = Pipelines::create(context, {});
    REQUIRE(pipelines);
    CHECK(report_on(*context, **pipelines, Shader::peak_dot).assembly.find("v_dot4") != std::string::npos);
    CHECK(report_on(*context, **pipelines, Shader::read_all).assembly.find("global_load_dwordx4") != std::string::npos);
}

}  // namespace
