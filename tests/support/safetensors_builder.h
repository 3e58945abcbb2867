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
    // The given value throughout, in F32.
    SafetensorsBuilder& floats(const std::string& name, const std::vector<int64_t>& shape, float value) {
        int64_t count = 1;
        for (const int64_t extent : shape) count *= extent;
        std::string data;
        for (int64_t i = 0; i < count; i++) data += bytes_of(value);
        return tensor(name, "F32", shape, data);
    }
    SafetensorsBuilder& tensor(const std::string& name, const std::string& type,
                               const std::vector<int64_t>& shape, const std::string& data) {
        tensors_.push_back({name, type, shape, data});
        return *this;
    }
    SafetensorsBuilder& append(const SafetensorsBuilder& other) {
        tensors_.insert(tensors_.end(), other.tensors_.begin(), other.tensors_.end());
        return *this;
    }
    std::string header() const {
        std::string out = "{";
        size_t at = 0;
        for (const Tensor& tensor : tensors_) {
            if (out.size() > 1) out += ",";
            out += "\"" + tensor.name + "\":{\"dtype\":\"" + tensor.type + "\",\"shape\":[";
            for (size_t i = 0; i < tensor.shape.size(); i++) {
                if (i) out += ",";
                out += std::to_string(tensor.shape[i]);
            }
            const size_t end = at + tensor.data.size();
            out += "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
            at = end;
        }
        return out + "}";
    }
    std::string build() const {
        std::string data;
        for (const Tensor& tensor : tensors_) data += tensor.data;
        return safetensors_file(header(), data);
    }

  private:
    struct Tensor {
        std::string name, type;
        std::vector<int64_t> shape;
        std::string data;
    };
    std::vector<Tensor> tensors_;
};

}  // namespace lapidary::test
