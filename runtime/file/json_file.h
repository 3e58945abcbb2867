// Reads JSON that may come from anywhere: size and depth are limited, repeated keys are refused, nothing
// throws. Included by .cpp files only, since it brings nlohmann-json along.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lapidary/result.h"

namespace lapidary::runtime {

inline constexpr uint64_t kMaxConfigBytes = 8 << 20;  // config.json and its like
inline constexpr uint64_t kMaxIndexBytes = 64 << 20;  // tensor lists
inline constexpr uint64_t kMaxTokenizerBytes = 512 << 20;
inline constexpr int kMaxJsonDepth = 32;

// The whole file; bad_model_file when it is larger than `limit_bytes`.
Result<std::string> read_text_file(const std::filesystem::path& path, uint64_t limit_bytes);

// `what` names the source in errors. The result is always an object.
Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& what);
Result<nlohmann::json> read_json_file(const std::filesystem::path& path,
                                      uint64_t limit_bytes = kMaxConfigBytes);

}  // namespace lapidary::runtime
