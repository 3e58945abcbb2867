// Writes a GGUF file of version 3 front to back: keys and tensor list first, then the data as a stream, so
// that a model of any size needs no memory. Used for synthetic models.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"
#include "runtime/file/gguf.h"
#include "runtime/file/output_file.h"
#include "runtime/tensor.h"

namespace lapidary::runtime {

class GgufWriter {
  public:
    void add(std::string_view key, uint32_t value);
    void add(std::string_view key, float value);
    void add_flag(std::string_view key, bool value);
    void add_text(std::string_view key, std::string_view value);
    void add_list(std::string_view key, const std::vector<int32_t>& values);
    void add_list(std::string_view key, const std::vector<float>& values);
    void add_flags(std::string_view key, const std::vector<bool>& values);
    void add_texts(std::string_view key, const std::vector<std::string>& values);
    void add_value(std::string_view key, const GgufValue& value);  // as another file has it
    // By its name, format and shape. The data follows later, in the order of these calls.
    void add_tensor(const FileTensor& tensor);

    // Everything before the data. Without tensors it is a file of its own: metadata only.
    std::string header() const;

    // Ends the header. Then write() the bytes of all tensors; the padding between them is added here.
    Result<void> start(const std::filesystem::path& target);
    Result<void> write(const void* bytes, size_t count);
    Result<void> finish();  // syncs and renames; an internal error when bytes are missing

  private:
    void key(std::string_view key, uint32_t type);
    void array(std::string_view key, uint32_t element, uint64_t count);
    Result<void> pad();

    std::string keys_, tensors_;
    uint64_t key_count_ = 0, data_bytes_ = 0;
    std::vector<uint64_t> sizes_;  // bytes of every tensor, without padding
    std::optional<OutputFile> file_;
    size_t current_ = 0;       // the tensor that is being written
    uint64_t done_bytes_ = 0;  // of it
};

}  // namespace lapidary::runtime
