// What was found out about a device's shaders: which passed their self-test, and which won a race. One file per device,
// driver and set of shaders, so that a change of any of them asks anew. A test is announced in the file before it runs: a
// driver that crashes or hangs in it has given its verdict by the next start; while another process is still at it, there is none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/result.h"
#include "runtime/vulkan/physical_device.h"

namespace lapidary::runtime::vulkan {

struct Verdict {
    bool passed = false;
    std::string reason;  // why not: "row 17 is 3.1e+02 off", "did not come back"
    std::string time;    // UTC, ISO 8601
};

struct Won {  // a race
    std::string winner;
    double speedup = 1;  // over what serves without a race
};

// "gpu-<vendor>-<device>-<hash>.json": of device, driver and shaders.
std::string verdict_file_name(const DeviceFacts& facts);

class Verdicts {
  public:
    // Without a path everything is kept in memory alone. A file that is damaged or of another device is as none.
    static Verdicts open(std::filesystem::path file, const DeviceFacts& facts);
    Verdicts(Verdicts&&) noexcept = default;

    std::optional<Verdict> of(const std::string& test) const;
    // Announces the test in the file, then the verdict. io_error when the file cannot be written: an announcement that
    // is not on the disk protects nobody.
    Result<void> begin(const std::string& test);
    Result<void> finish(const std::string& test, bool passed, const std::string& reason);
    Result<void> withdraw();  // the announcement: the test came back, and says nothing of the device

    // The winner among the candidates of a race, once it was run.
    std::optional<std::string> winner(const std::string& race) const;
    Result<void> record(const std::string& race, const std::string& winner, double speedup);

    std::vector<std::pair<std::string, Verdict>> failed() const;
    size_t count() const { return verdicts_.size(); }
    const std::map<std::string, Verdict>& tests() const { return verdicts_; }
    const std::map<std::string, Won>& races() const { return races_; }

  private:
    Verdicts() = default;
    Result<void> save() const;

    std::filesystem::path file_;
    std::string device_, driver_, hash_;
    std::map<std::string, Verdict> verdicts_;
    std::string testing_;
    std::map<std::string, Won> races_;
};

}  // namespace lapidary::runtime::vulkan
