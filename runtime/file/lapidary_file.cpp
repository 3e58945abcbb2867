// Opens and verifies .lapidary files; see lapidary_file.h.
#include "runtime/file/lapidary_file.h"

#include <xxhash.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/lapidary_directory.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/mapping.h"

namespace lapidary::runtime {
namespace {

constexpr size_t kVerifyBytes = 16 << 20;  // between two reports

Error damaged(const std::filesystem::path& path, const std::string& what) {
    return {Errc::bad_model_file, concat(in_quotes(path.string()), " is damaged: ", what),
            "pack the model again, or copy the file again"};
}

struct HashState {
    XXH3_state_t* state = XXH3_createState();
    HashState() = default;
    HashState(const HashState&) = delete;
    HashState& operator=(const HashState&) = delete;
    ~HashState() { XXH3_freeState(state); }
};

// Between what has a checksum stands nothing: a writer fills up with zeros, and whatever else stands there is damage.
Result<void> check_padding(const LapidaryFile& file) {
    std::vector<std::pair<uint64_t, uint64_t>> parts;  // offset, bytes
    for (const LapidaryText& text : file.texts) parts.emplace_back(text.offset, text.bytes);
    for (const LapidaryTensor& tensor : file.tensors) parts.emplace_back(tensor.offset, tensor.bytes);
    std::sort(parts.begin(), parts.end());
    parts.emplace_back(file.buffer->bytes, 0);
    uint64_t at = file.directory_end;
    for (const auto& [offset, bytes] : parts) {
        for (; at < offset; at++)
            if (host_bytes(*file.buffer)[at] != std::byte{0})
                return damaged(file.path, concat("byte ", at, ", between its parts, is not zero"));
        at = std::max(at, offset + bytes);
    }
    return {};
}

}  // namespace

const LapidaryText* LapidaryFile::find_text(std::string_view name) const {
    for (const LapidaryText& known : texts)
        if (known.name == name) return &known;
    return nullptr;
}

std::string_view LapidaryFile::text(std::string_view name) const {
    const LapidaryText* found = find_text(name);
    if (!found) return {};
    return {reinterpret_cast<const char*>(host_bytes(*buffer) + found->offset), found->bytes};
}

bool is_lapidary_file(const std::filesystem::path& path) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) return false;  // opening a pipe would wait for its writer
    std::ifstream stream(path, std::ios::binary);
    std::string begin(kLapidaryMagic.size(), '\0');
    return stream.read(begin.data(), static_cast<std::streamsize>(begin.size())) && begin == kLapidaryMagic;
}

Result<LapidaryFile> open_lapidary(const std::filesystem::path& path, Extent extent) {
    LAP_ASSIGN(const auto mapping, Mapping::open(path));
    const std::string_view bytes = mapping->text();
    LAP_ASSIGN(const LapidaryHeader header,
               decode_header(bytes.substr(0, kLapidaryHeaderBytes), path.string()));
    if (header.file_bytes != bytes.size() && extent == Extent::whole)
        return damaged(path, concat("it has ", bytes.size(), " bytes, its header says ", header.file_bytes));
    if (header.directory_bytes > bytes.size() - kLapidaryHeaderBytes)
        return damaged(path, concat("its directory of ", header.directory_bytes, " bytes does not fit"));
    const auto directory = bytes.substr(kLapidaryHeaderBytes, header.directory_bytes);
    if (checksum_of(directory) != header.directory_checksum)
        return damaged(path, "the checksum of its directory is wrong");
    LapidaryFile file;
    file.path = path;
    file.buffer = mapping;
    file.directory_end = kLapidaryHeaderBytes + header.directory_bytes;
    LAP_TRY(decode_directory(directory, header.file_bytes, path.string(), file));
    for (const LapidaryText& text : file.texts) {
        if (text.offset > bytes.size() || text.bytes > bytes.size() - text.offset)
            return damaged(path, concat("it ends at byte ", bytes.size(), ", inside its text ", in_quotes(text.name)));
        if (checksum_of(bytes.substr(text.offset, text.bytes)) != text.checksum)
            return damaged(path, concat("the checksum of its text ", in_quotes(text.name), " is wrong"));
    }
    return file;
}

Result<void> verify_lapidary(const LapidaryFile& file,
                             const std::function<bool(uint64_t done, uint64_t total)>& progress) {
    LAP_TRY(check_padding(file));
    uint64_t done = 0, total = 0;
    for (const LapidaryTensor& tensor : file.tensors) total += tensor.bytes;
    const HashState hash;
    if (!hash.state) return Error{Errc::out_of_memory, "memory ran out"};
    for (const LapidaryTensor& tensor : file.tensors) {
        XXH3_64bits_reset(hash.state);
        for (uint64_t at = 0; at < tensor.bytes; at += kVerifyBytes) {
            const auto count = static_cast<size_t>(std::min<uint64_t>(kVerifyBytes, tensor.bytes - at));
            XXH3_64bits_update(hash.state, host_bytes(*file.buffer) + tensor.offset + at, count);
            file.buffer->discard(tensor.offset + at, count);
            done += count;
            if (progress && !progress(done, total)) return Error{Errc::cancelled, "checking was stopped"};
        }
        if (XXH3_64bits_digest(hash.state) != tensor.checksum)
            return damaged(file.path, concat("the checksum of tensor ", in_quotes(tensor.name), " is wrong"));
    }
    return {};
}

}  // namespace lapidary::runtime
