// Encodes the header in memory and streams the rest; see gguf_writer.h.
#include "runtime/file/gguf_writer.h"

#include <algorithm>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/gguf.h"
#include "runtime/file/put.h"

namespace lapidary::runtime {
namespace {

constexpr uint64_t kAlignment = 32;

void put_text(std::string& out, std::string_view text) {
    put<uint64_t>(out, text.size());
    out += text;
}

uint32_t number_of(GgufType type) { return static_cast<uint32_t>(type); }

uint64_t padding(uint64_t bytes) { return (kAlignment - bytes % kAlignment) % kAlignment; }

}  // namespace

void GgufWriter::key(std::string_view key, uint32_t type) {
    put_text(keys_, key);
    put(keys_, type);
    key_count_++;
}

void GgufWriter::array(std::string_view name, uint32_t element, uint64_t count) {
    key(name, number_of(GgufType::array));
    put(keys_, element);
    put(keys_, count);
}

void GgufWriter::add(std::string_view name, uint32_t value) {
    key(name, number_of(GgufType::u32));
    put(keys_, value);
}

void GgufWriter::add(std::string_view name, float value) {
    key(name, number_of(GgufType::f32));
    put(keys_, value);
}

void GgufWriter::add_flag(std::string_view name, bool value) {
    key(name, number_of(GgufType::boolean));
    put<uint8_t>(keys_, value);
}

void GgufWriter::add_text(std::string_view name, std::string_view value) {
    key(name, number_of(GgufType::string));
    put_text(keys_, value);
}

void GgufWriter::add_list(std::string_view name, const std::vector<int32_t>& values) {
    array(name, number_of(GgufType::i32), values.size());
    for (const int32_t value : values) put(keys_, value);
}

void GgufWriter::add_list(std::string_view name, const std::vector<float>& values) {
    array(name, number_of(GgufType::f32), values.size());
    for (const float value : values) put(keys_, value);
}

void GgufWriter::add_flags(std::string_view name, const std::vector<bool>& values) {
    array(name, number_of(GgufType::boolean), values.size());
    for (const bool value : values) put<uint8_t>(keys_, value);
}

void GgufWriter::add_texts(std::string_view name, const std::vector<std::string>& values) {
    array(name, number_of(GgufType::string), values.size());
    for (const std::string& value : values) put_text(keys_, value);
}

void GgufWriter::add_value(std::string_view name, const GgufValue& value) {
    if (value.type == GgufType::string) return add_text(name, value.raw);
    if (value.type == GgufType::array)
        array(name, number_of(value.element), value.count);
    else
        key(name, number_of(value.type));
    keys_ += value.raw;
}

void GgufWriter::add_tensor(const FileTensor& tensor) {
    put_text(tensors_, tensor.name);
    put(tensors_, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) put(tensors_, static_cast<uint64_t>(tensor.shape[i]));
    put(tensors_, gguf_number(tensor.format));
    put(tensors_, data_bytes_);
    sizes_.push_back(tensor.bytes_as(tensor.format, Layout::rows));
    data_bytes_ += sizes_.back() + padding(sizes_.back());
}

Result<void> GgufWriter::start(const std::filesystem::path& target) {
    LAP_ASSIGN(OutputFile file, OutputFile::create(target));
    file_.emplace(std::move(file));
    const std::string head = header();
    LAP_TRY(file_->write(head.data(), head.size()));
    return pad();
}

std::string GgufWriter::header() const {
    std::string head = "GGUF";
    put<uint32_t>(head, 3);
    put<uint64_t>(head, sizes_.size());
    put<uint64_t>(head, key_count_);
    return head + keys_ + tensors_;
}

Result<void> GgufWriter::pad() {
    const char zeros[kAlignment] = {};
    return file_->write(zeros, padding(file_->written()));
}

Result<void> GgufWriter::write(const void* bytes, size_t count) {
    const auto* from = static_cast<const std::byte*>(bytes);
    while (count > 0) {
        if (current_ == sizes_.size())
            return Error{Errc::internal, concat(count, " bytes beyond the last tensor")};
        const auto part = static_cast<size_t>(std::min<uint64_t>(count, sizes_[current_] - done_bytes_));
        LAP_TRY(file_->write(from, part));
        from += part;
        count -= part;
        done_bytes_ += part;
        if (done_bytes_ < sizes_[current_]) return {};
        current_++;
        done_bytes_ = 0;
        LAP_TRY(pad());
    }
    return {};
}

Result<void> GgufWriter::finish() {
    if (current_ != sizes_.size())
        return Error{Errc::internal, concat(sizes_.size() - current_, " tensors have no data")};
    return file_->commit();
}

}  // namespace lapidary::runtime
