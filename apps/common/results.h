// Where results are written: so that a file is whole or absent, and nothing that somebody may want is lost.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::cli {

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

// Whether it begins as a GGUF or .lapidary file does.
bool is_model_file(const std::filesystem::path& file);

// The files that a command reads. No result replaces one of them, under whatever name, not even with --force.
class Inputs {
  public:
    void add(std::string what, const std::filesystem::path& file) { files_.push_back({std::move(what), file}); }
    // The model, and what may belong to it: all files of a folder; of a file the models, by content, beside it, which are
    // other parts of a split one and projectors.
    void add_model(const std::filesystem::path& model);
    Result<void> check(const std::string& option, const std::optional<std::string>& target) const;

  private:
    struct Input {
        std::string what;  // "the model itself"
        std::filesystem::path file;
    };
    std::vector<Input> files_;
    std::filesystem::path model_folder_;
    bool whole_folder_ = false;
};

// Writes beside the target under a temporary name; commit() renames, the destructor removes what is left.
// A target that is a device or a pipe is written directly, as is standard output, whose name is -.
class ResultFile {
  public:
    static Result<ResultFile> create(const std::filesystem::path& target);
    ResultFile(ResultFile&& other) noexcept;
    ResultFile& operator=(ResultFile&&) = delete;
    ~ResultFile();

    Result<void> write(std::span<const float> values);  // little-endian
    // Leaves a mark on the file, where the file system can: was_written_here() knows it until somebody changes it.
    Result<void> commit();

  private:
    ResultFile(int fd, std::filesystem::path target, std::filesystem::path temporary)
        : fd_(fd), target_(std::move(target)), temporary_(std::move(temporary)) {}
    Error failure(int problem) const;

    int fd_;
    std::filesystem::path target_, temporary_;  // temporary empty: written directly
};
bool is_standard_output(const std::filesystem::path& target);
bool was_written_here(const std::filesystem::path& file);

}  // namespace lapidary::cli
