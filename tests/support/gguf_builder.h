// Builds GGUF files in memory, good ones and broken ones: every number that a file holds can be forged.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lapidary::test {

// The little-endian bytes of a number.
template <class T>
std::string bytes_of(T value) {
    std::string out(sizeof value, '\0');
    std::memcpy(out.data(), &value, sizeof value);
    return out;
}
inline std::string counted(const std::string& text) { return bytes_of<uint64_t>(text.size()) + text; }

class GgufBuilder {
  public:
    enum Type : uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9, kU64 = 10 };
    struct Tensor {
        std::string name;
        std::vector<uint64_t> extents;  // in GGUF's order: the contiguous one first
        uint32_t type = 0;
        std::string data;
        std::optional<uint64_t> offset = {};  // forged
    };

    uint32_t magic = 0x46554747, version = 3;
    uint64_t alignment = 32;
    std::optional<uint64_t> key_count, tensor_count;        // forged
    std::vector<std::pair<std::string, std::string>> keys;  // key and the encoded value with its type
    std::vector<Tensor> tensors;

    // Replaces the key if it is there. `value` is already encoded.
    GgufBuilder& raw(const std::string& key, uint32_t type, const std::string& value) {
        remove(key);
        keys.emplace_back(key, bytes_of(type) + value);
        return *this;
    }
    GgufBuilder& u32(const std::string& key, uint32_t v) { return raw(key, kU32, bytes_of(v)); }
    GgufBuilder& f32(const std::string& key, float v) { return raw(key, kF32, bytes_of(v)); }
    GgufBuilder& boolean(const std::string& key, bool v) { return raw(key, kBool, bytes_of<uint8_t>(v)); }
    GgufBuilder& text(const std::string& key, const std::string& v) { return raw(key, kString, counted(v)); }
    GgufBuilder& strings(const std::string& key, const std::vector<std::string>& list) {
        std::string body;
        for (const auto& item : list) body += counted(item);
        return array(key, kString, list.size(), body);
    }
    GgufBuilder& ints(const std::string& key, const std::vector<int32_t>& list) {
        std::string body;
        for (const int32_t item : list) body += bytes_of(item);
        return array(key, kI32, list.size(), body);
    }
    GgufBuilder& bools(const std::string& key, const std::vector<bool>& list) {
        std::string body;
        for (const bool item : list) body += item ? '\1' : '\0';
        return array(key, kBool, list.size(), body);
    }
    GgufBuilder& array(const std::string& key, uint32_t element, uint64_t count, const std::string& body) {
        return raw(key, kArray, bytes_of(element) + bytes_of(count) + body);
    }
    GgufBuilder& remove(const std::string& key) {
        for (size_t i = keys.size(); i-- > 0;)
            if (keys[i].first == key) keys.erase(keys.begin() + static_cast<std::ptrdiff_t>(i));
        return *this;
    }
    // An f32 tensor whose values are all `value`.
    GgufBuilder& floats(const std::string& name, const std::vector<uint64_t>& extents, float value) {
        uint64_t count = 1;
        for (const uint64_t extent : extents) count *= extent;
        std::string data;
        for (uint64_t i = 0; i < count; i++) data += bytes_of(value);
        tensors.push_back({name, extents, 0, data});
        return *this;
    }
    Tensor* find(const std::string& name) {
        for (auto& tensor : tensors)
            if (tensor.name == name) return &tensor;
        return nullptr;
    }
    GgufBuilder& drop(const std::string& name) {
        for (size_t i = tensors.size(); i-- > 0;)
            if (tensors[i].name == name) tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(i));
        return *this;
    }

    // Everything before the data, without its padding.
    std::string header() const {
        std::string out = bytes_of(magic) + bytes_of(version) +
                          bytes_of(tensor_count.value_or(tensors.size())) +
                          bytes_of(key_count.value_or(keys.size()));
        for (const auto& [key, value] : keys) out += counted(key) + value;
        uint64_t offset = 0;
        for (const auto& tensor : tensors) {
            out += counted(tensor.name) + bytes_of(static_cast<uint32_t>(tensor.extents.size()));
            for (const uint64_t extent : tensor.extents) out += bytes_of(extent);
            out += bytes_of(tensor.type) + bytes_of(tensor.offset.value_or(offset));
            offset += padded(tensor.data.size());
        }
        return out;
    }
    std::string build() const {
        std::string out = header();
        out.resize(padded(out.size()));
        const size_t begin = out.size();
        for (const auto& tensor : tensors) {
            out += tensor.data;
            out.resize(begin + padded(out.size() - begin));
        }
        return out;
    }

  private:
    uint64_t padded(uint64_t size) const { return (size + alignment - 1) / alignment * alignment; }
};

}  // namespace lapidary::test
