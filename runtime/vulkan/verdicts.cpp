// The JSON file of a device; see verdicts.h.
#include "runtime/vulkan/verdicts.h"

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/describe.h"
#include "base/try.h"
#include "base/utc.h"
#include "runtime/file/output_file.h"
#include "runtime/vulkan/shader_table.h"

namespace lapidary::runtime::vulkan {
namespace {

constexpr int kFormat = 1;

std::string hex(uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
}

std::string text_of(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Whether the process that announced a test is another one, and still there: its verdict is to come.
bool still_tests(const nlohmann::json& test) {
    const auto process = test.find("process");
    if (process == test.end() || !process->is_number_integer()) return false;
    const auto id = process->get<int64_t>();
    return id > 0 && id <= INT32_MAX && id != ::getpid() && ::kill(static_cast<pid_t>(id), 0) == 0;
}

}  // namespace

std::string verdict_file_name(const DeviceFacts& facts) {
    char ids[32];
    std::snprintf(ids, sizeof ids, "gpu-%04x-%04x-", facts.vendor, facts.device);
    const std::string identity = concat(facts.uuid, "/", facts.driver, "/", facts.driver_version, "/", facts.api);
    uint64_t hash = shaders_hash();
    for (const char c : identity) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return ids + hex(hash) + ".json";
}

Verdicts Verdicts::open(std::filesystem::path file, const DeviceFacts& facts) {
    Verdicts v;
    v.file_ = std::move(file);
    v.device_ = facts.uuid;
    v.driver_ = concat(facts.driver, " ", facts.driver_version);
    v.hash_ = hex(shaders_hash());
    if (v.file_.empty()) return v;
    std::ifstream in(v.file_, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object() || json.value("format", nlohmann::json()) != kFormat || text_of(json, "device") != v.device_ ||
        text_of(json, "driver") != v.driver_ || text_of(json, "shaders") != v.hash_)
        return v;
    if (const auto tests = json.find("tests"); tests != json.end() && tests->is_object())
        for (const auto& [name, test] : tests->items()) {
            if (!test.is_object()) continue;
            const std::string state = text_of(test, "verdict");
            if (state == "testing" && still_tests(test)) continue;
            if (state == "testing")
                v.verdicts_[name] = {false, "did not come back from its self-test", text_of(test, "time")};
            else if (state == "pass" || state == "fail")
                v.verdicts_[name] = {state == "pass", text_of(test, "reason"), text_of(test, "time")};
        }
    if (const auto races = json.find("races"); races != json.end() && races->is_object())
        for (const auto& [name, race] : races->items())
            if (race.is_object() && !text_of(race, "winner").empty()) {
                const auto speedup = race.find("speedup");
                const bool known = speedup != race.end() && speedup->is_number();
                v.races_[name] = {text_of(race, "winner"), known ? speedup->get<double>() : 1.0};
            }
    return v;
}

std::optional<Verdict> Verdicts::of(const std::string& test) const {
    const auto found = verdicts_.find(test);
    return found == verdicts_.end() ? std::nullopt : std::optional(found->second);
}

Result<void> Verdicts::begin(const std::string& test) {
    testing_ = test;
    verdicts_.erase(test);
    return save();
}

Result<void> Verdicts::finish(const std::string& test, bool passed, const std::string& reason) {
    testing_.clear();
    verdicts_[test] = {passed, reason, utc_now()};
    return save();
}

Result<void> Verdicts::withdraw() {
    testing_.clear();
    return save();
}

std::optional<std::string> Verdicts::winner(const std::string& race) const {
    const auto found = races_.find(race);
    return found == races_.end() ? std::nullopt : std::optional(found->second.winner);
}

Result<void> Verdicts::record(const std::string& race, const std::string& winner, double speedup) {
    races_[race] = {winner, speedup};
    return save();
}

std::vector<std::pair<std::string, Verdict>> Verdicts::failed() const {
    std::vector<std::pair<std::string, Verdict>> out;
    for (const auto& [name, verdict] : verdicts_)
        if (!verdict.passed) out.emplace_back(name, verdict);
    return out;
}

Result<void> Verdicts::save() const {
    if (file_.empty()) return {};
    nlohmann::json tests = nlohmann::json::object(), races = nlohmann::json::object();
    for (const auto& [name, v] : verdicts_)
        tests[name] = {{"verdict", v.passed ? "pass" : "fail"}, {"reason", v.reason}, {"time", v.time}};
    if (!testing_.empty()) tests[testing_] = {{"verdict", "testing"}, {"time", utc_now()}, {"process", ::getpid()}};
    for (const auto& [name, r] : races_) races[name] = {{"winner", r.winner}, {"speedup", r.speedup}};
    const nlohmann::json all = {{"format", kFormat}, {"device", device_}, {"driver", driver_}, {"shaders", hash_},
                                {"tests", tests},    {"races", races}};
    const std::string text = all.dump(1) + "\n";
    std::error_code ignored;
    std::filesystem::create_directories(file_.parent_path(), ignored);
    LAP_ASSIGN(OutputFile out, OutputFile::create(file_));
    LAP_TRY(out.write(text.data(), text.size()));
    return out.commit();
}

}  // namespace lapidary::runtime::vulkan
