// Reads typed keys of GGUF metadata. A missing key takes the fallback, or is an error without one; a key of
// the wrong type is always an error that names file and key.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/result.h"
#include "runtime/file/gguf.h"

namespace lapidary::model {

class GgufFields {
  public:
    // Keys are looked up as prefix + key.
    GgufFields(const runtime::Gguf& gguf, std::string prefix) : gguf_(&gguf), prefix_(std::move(prefix)) {}

    bool has(const char* key) const { return get(key) != nullptr; }
    const runtime::GgufValue* get(const char* key) const { return gguf_->find(prefix_ + key); }
    Result<int32_t> integer(const char* key, std::optional<int32_t> fallback = {}) const;
    Result<double> number(const char* key, std::optional<double> fallback = {}) const;
    Result<bool> boolean(const char* key, bool fallback) const;
    Result<std::string> text(const char* key, const std::string& fallback) const;
    Result<std::vector<int32_t>> integers(const char* key) const;  // empty when absent
    // A token id, -1 when absent. One outside the vocabulary can never occur: it counts as absent, and a note says so
    // (but for -1, by which writers mean that there is none).
    Result<int32_t> id(const char* key, int32_t vocabulary, std::vector<std::string>& notes) const;
    // One number for all `count` layers, or a list of as many.
    Result<std::vector<int32_t>> per_layer(const char* key, int32_t count, std::optional<int32_t> fallback = {}) const;

    std::string file() const;  // quoted, for errors
    Error wrong(const char* key, const char* expected) const;

  private:
    const runtime::Gguf* gguf_;
    std::string prefix_;
};

}  // namespace lapidary::model
