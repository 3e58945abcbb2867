// Reading whole small files and stdin, and writing a result file so that it is whole or absent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::cli {

// The bytes of a file, or of stdin when the name is "-". At most kMaxTextBytes.
inline constexpr size_t kMaxTextBytes = size_t{1} << 28;
Result<std::string> read_text(const std::string& name);
bool stdin_is_terminal();

// A JSON file of token ids: [2,105] or {"ids":[...]}.
Result<std::vector<int32_t>> read_token_ids(const std::string& name);

// Whether a file that is written at the end of the work could be written now.
Result<void> check_target(const std::filesystem::path& target);

// Writes beside the target under a temporary name; commit() renames, the destructor removes what is left.
// A target that is a device or a pipe is written directly.
class ResultFile {
  public:
    static Result<ResultFile> create(const std::filesystem::path& target);
    ResultFile(ResultFile&& other) noexcept;
    ResultFile& operator=(ResultFile&&) = delete;
    ~ResultFile();

    Result<void> write(std::span<const float> values);  // little-endian
    Result<void> commit();

  private:
    ResultFile(int fd, std::filesystem::path target, std::filesystem::path temporary)
        : fd_(fd), target_(std::move(target)), temporary_(std::move(temporary)) {}
    Error failure(int problem) const;

    int fd_;
    std::filesystem::path target_, temporary_;  // temporary empty: written directly
};

}  // namespace lapidary::cli
