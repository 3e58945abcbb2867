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

    void discard(size_t offset, size_t count) override;
    bool refills() const override { return true; }
    void will_need(size_t offset, size_t count) override;
    std::string_view text() const { return {reinterpret_cast<const char*>(host_), bytes}; }

  private:
    Mapping() = default;
};

}  // namespace lapidary::runtime
