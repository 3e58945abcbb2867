// Places everything before the first byte is written; see lapidary_writer.h.
#include "runtime/file/lapidary_writer.h"

#include <xxhash.h>

#include <algorithm>
#include <new>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/lapidary_directory.h"

namespace lapidary::runtime {
namespace {

constexpr size_t kTitleBytes = 1024;

}  // namespace

struct LapidaryWriter::Hash {
    XXH3_state_t* state = XXH3_createState();
    Hash() {
        if (!state) throw std::bad_alloc();
    }
    ~Hash() { XXH3_freeState(state); }
    Hash(const Hash&) = delete;
    Hash& operator=(const Hash&) = delete;
};

LapidaryWriter::LapidaryWriter(std::string kind, std::string title, std::string writer)
    : hash_(std::make_unique<Hash>()) {
    file_.kind = std::move(kind);
    file_.title = title.substr(0, kTitleBytes);  // it may be any text of the source; readers bound their names
    file_.writer = std::move(writer);
}

LapidaryWriter::~LapidaryWriter() = default;

void LapidaryWriter::add_source(LapidarySource source) { file_.sources.push_back(std::move(source)); }

void LapidaryWriter::add_text(std::string name, std::string text) {
    file_.texts.push_back({std::move(name), 0, text.size(), checksum_of(text)});
    texts_.push_back(std::move(text));
}

void LapidaryWriter::add_tensor(const FileTensor& tensor, std::string group, Format format, Layout layout) {
    const uint64_t bytes = tensor.bytes_as(format, layout);
    const FileTensor made{tensor.name, format, layout, tensor.shape, 0, 0, bytes};
    file_.tensors.push_back({made, std::move(group)});
}

Result<void> LapidaryWriter::start(const std::filesystem::path& target) {
    uint64_t at = kLapidaryHeaderBytes + encode_directory(file_).size();  // whatever the places are
    const std::string unknown(at, '\0');
    for (LapidaryText& text : file_.texts) {
        text.offset = at;
        at += text.bytes;
    }
    for (LapidaryTensor& tensor : file_.tensors) {
        tensor.offset = (at + kLapidaryAlignment - 1) / kLapidaryAlignment * kLapidaryAlignment;
        at = tensor.offset + tensor.bytes;
    }
    file_bytes_ = at;
    LAP_TRY(require_room(target, file_bytes_));
    LAP_ASSIGN(OutputFile out, OutputFile::create(target));
    out_.emplace(std::move(out));
    LAP_TRY(out_->write(unknown.data(), unknown.size()));
    for (const std::string& text : texts_) LAP_TRY(out_->write(text.data(), text.size()));
    return begin_tensor();
}

Result<void> LapidaryWriter::begin_tensor() {
    done_bytes_ = 0;
    if (current_ == file_.tensors.size()) return {};
    XXH3_64bits_reset(hash_->state);
    const std::string zeros(file_.tensors[current_].offset - out_->written(), '\0');
    return out_->write(zeros.data(), zeros.size());
}

Result<void> LapidaryWriter::write(const void* bytes, size_t count) {
    const auto* from = static_cast<const std::byte*>(bytes);
    while (count > 0) {
        if (current_ == file_.tensors.size())
            return Error{Errc::internal, concat(count, " bytes beyond the last tensor")};
        LapidaryTensor& tensor = file_.tensors[current_];
        const auto part = static_cast<size_t>(std::min<uint64_t>(count, tensor.bytes - done_bytes_));
        XXH3_64bits_update(hash_->state, from, part);
        LAP_TRY(out_->write(from, part));
        from += part;
        count -= part;
        done_bytes_ += part;
        if (done_bytes_ < tensor.bytes) return {};
        tensor.checksum = XXH3_64bits_digest(hash_->state);
        current_++;
        LAP_TRY(begin_tensor());
    }
    return {};
}

Result<uint64_t> LapidaryWriter::finish() {
    if (current_ != file_.tensors.size())
        return Error{Errc::internal, concat(file_.tensors.size() - current_, " tensors have no data")};
    const std::string directory = encode_directory(file_);
    const std::string header = encode_header({directory.size(), file_bytes_, checksum_of(directory)});
    LAP_TRY(out_->rewrite(kLapidaryHeaderBytes, directory.data(), directory.size()));
    LAP_TRY(out_->rewrite(0, header.data(), header.size()));
    LAP_TRY(out_->commit());
    return file_bytes_;
}

}  // namespace lapidary::runtime
