// Reading whole small files and stdin, and writing a result file so that it is whole or absent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::cli {

// The bytes of a file, or of stdin when the name is "-". At most kMaxTextBytes.
inline constexpr size_t kMaxTextBytes = size_t{1} << 28;
Result<std::string> read_text(const std::string& name);
bool stdin_is_terminal();
// Bytes wait in a pipe, or a file has a rest; answers at once.
bool stdin_holds_something();

// A JSON file of token ids: [2,105] or {"ids":[...]}.
Result<std::vector<int32_t>> read_token_ids(const std::string& name);

// Whether a file that is written at the end of the work could be written now.
Result<void> check_target(const std::filesystem::path& target);

// What lies at a place to write to counts as lost when it is not what the same command would write again; `kind`
// says what that is. An error then, unless `force`. Nothing, an empty file or a device loses nothing.
struct Overwrite {
    std::string kind;                                        // "a trace"; empty: whatever is there would be lost
    std::function<bool(const std::filesystem::path&)> same;  // is this one? unset: never
};
Result<void> check_overwrite(const std::filesystem::path& target, const Overwrite& what, bool force);
// The first `bytes` of a regular file, less when it is shorter; nothing of what is none or cannot be read.
std::string beginning_of(const std::filesystem::path& file, size_t bytes);

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
