// The JSON and template files of a Hugging Face checkpoint, by name: in its folder, or carried by a .lapidary
// file. The readers of config and tokenizer do not see the difference.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lapidary/result.h"
#include "runtime/file/lapidary_file.h"

namespace lapidary::model {

class TextFiles {
  public:
    explicit TextFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}
    explicit TextFiles(runtime::LapidaryFile packed) : packed_(std::move(packed)) {}

    bool has(const std::string& name) const;
    // Missing is an error; bad_model_file when it is larger than `limit_bytes`.
    Result<std::string> read(const std::string& name, uint64_t limit_bytes) const;
    Result<std::string> read_if_present(const std::string& name, uint64_t limit_bytes) const;
    // One of the small files, whose content is a JSON object; missing is an error.
    Result<nlohmann::json> read_json(const std::string& name) const;

    bool packed() const { return packed_.has_value(); }
    std::string where(const std::string& name) const;  // for errors, unquoted
    std::string title() const;                         // what the checkpoint is called

  private:
    std::filesystem::path folder_;
    std::optional<runtime::LapidaryFile> packed_;
};

}  // namespace lapidary::model
