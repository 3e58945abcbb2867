// A model file mapped read-only into memory. Weights are used where they lie; nothing is copied. The error
// codes are those of model files (missing, damaged), because nothing else is mapped.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "lapidary/result.h"
#include "runtime/tensor.h"

namespace lapidary::runtime {

// Writing to its bytes is a fault of the caller: the pages are read-only.
class Mapping final : public BufferData {
  public:
    static Result<std::shared_ptr<Mapping>> open(const std::filesystem::path& path);
    ~Mapping() override;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    // Also of the system's cache of files, but for pages that another process has mapped.
    void discard(size_t offset, size_t count) override;
    bool refills() const override { return true; }
    void will_need(size_t offset, size_t count) override;
    std::string_view text() const { return {reinterpret_cast<const char*>(host_), bytes}; }

  private:
    explicit Mapping(int file) : file_(file) {}

    int file_;  // open as long as it is mapped
};

// Brings in the pages of these bytes, which may lie in a mapped file, and none of those around them: the system reads up to
// megabytes more at every place that is touched.
void read_alone(const std::byte* at, size_t bytes);

}  // namespace lapidary::runtime
