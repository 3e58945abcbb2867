// Builds safetensors files in memory. The header is text, so that anything can be written into it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/gguf_builder.h"

namespace lapidary::test {

inline std::string safetensors_file(const std::string& header, const std::string& data) {
    return counted(header) + data;
}

class SafetensorsBuilder {
  public:
    // Zeros, or the given value, in F32.
    SafetensorsBuilder& floats(const std::string& name, const std::vector<int64_t>& shape, float value) {
        int64_t count = 1;
        for (const int64_t extent : shape) count *= extent;
        std::string data;
        for (int64_t i = 0; i < count; i++) data += bytes_of(value);
        return tensor(name, "F32", shape, data);
    }
    SafetensorsBuilder& tensor(const std::string& name, const std::string& type, const std::vector<int64_t>& shape,
                               const std::string& data) {
        std::string extents;
        for (const int64_t extent : shape) extents += (extents.empty() ? "" : ",") + std::to_string(extent);
        header_ += (header_.empty() ? "\"" : ",\"") + name + "\":{\"dtype\":\"" + type + "\",\"shape\":[" + extents +
                   "],\"data_offsets\":[" + std::to_string(data_.size()) + "," +
                   std::to_string(data_.size() + data.size()) + "]}";
        data_ += data;
        return *this;
    }
    std::string header() const { return "{" + header_ + "}"; }
    std::string build() const { return safetensors_file(header(), data_); }

  private:
    std::string header_, data_;
};

}  // namespace lapidary::test
