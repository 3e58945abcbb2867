// Encodes and decodes what lapidary_directory.h draws. Every count and length of a file is compared with the
// bytes that are left before it is used.
#include "runtime/file/lapidary_directory.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/gguf.h"
#include "runtime/file/gguf_types.h"
#include "runtime/file/put.h"

namespace lapidary::runtime {
namespace {

constexpr const char* kPackAgain = "pack the model again, or copy the file again";
constexpr size_t kMinSourceBytes = 20, kMinTextBytes = 28, kMinRecordBytes = 44;
constexpr size_t kMaxTextBytes = 4096;
constexpr uint32_t kMaxRank = 8;

void put_short_text(std::string& out, std::string_view text) {
    put(out, static_cast<uint32_t>(text.size()));
    out += text;
}

class DirectoryReader {
  public:
    DirectoryReader(std::string_view bytes, uint64_t file_bytes, const std::string& path)
        : bytes_(bytes), file_bytes_(file_bytes), path_(path) {}

    Result<void> run(LapidaryFile& file) {
        LAP_ASSIGN(file.kind, text());
        LAP_ASSIGN(file.title, text());
        LAP_ASSIGN(file.writer, text());
        LAP_ASSIGN(const uint32_t sources, count(kMinSourceBytes));
        for (uint32_t i = 0; i < sources; i++) LAP_TRY(read_source(file));
        end_ = kLapidaryHeaderBytes + bytes_.size();
        LAP_ASSIGN(const uint32_t texts, count(kMinTextBytes));
        for (uint32_t i = 0; i < texts; i++) LAP_TRY(read_text(file));
        LAP_ASSIGN(const uint32_t tensors, count(kMinRecordBytes));
        for (uint32_t i = 0; i < tensors; i++) LAP_TRY(read_tensor(file));
        if (at_ != bytes_.size()) return bad(concat(bytes_.size() - at_, " bytes too many in its directory"));
        return {};
    }

  private:
    Error bad(const std::string& what) const {
        return {Errc::bad_model_file, concat(in_quotes(path_), " is damaged: ", what), kPackAgain};
    }

    template <class T>
    Result<T> number() {
        if (bytes_.size() - at_ < sizeof(T)) return bad("its directory is cut short");
        T value;
        std::memcpy(&value, bytes_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }
    Result<uint32_t> count(size_t entry_bytes) {
        LAP_ASSIGN(const uint32_t value, number<uint32_t>());
        if (value > (bytes_.size() - at_) / entry_bytes)
            return bad(concat("its directory claims ", value, " entries in ", bytes_.size() - at_, " bytes"));
        return value;
    }
    Result<std::string> text() {
        LAP_ASSIGN(const uint32_t length, number<uint32_t>());
        if (length > kMaxTextBytes || length > bytes_.size() - at_)
            return bad(concat("its directory has a name of ", length, " bytes"));
        at_ += length;
        return std::string(bytes_.substr(at_ - length, length));
    }

    Result<void> read_source(LapidaryFile& file) {
        LapidarySource source;
        LAP_ASSIGN(source.name, text());
        LAP_ASSIGN(source.bytes, number<uint64_t>());
        LAP_ASSIGN(source.modified_s, number<int64_t>());
        file.sources.push_back(std::move(source));
        return {};
    }

    // Pieces lie in order and apart from each other, so no byte is two things.
    Result<void> take_place(uint64_t offset, uint64_t bytes, const std::string& what) {
        if (offset < end_ || offset > file_bytes_ || bytes > file_bytes_ - offset)
            return bad(
                concat(what, " has ", bytes, " bytes at ", offset, ", outside ", end_, " to ", file_bytes_));
        end_ = offset + bytes;
        return {};
    }

    Result<void> read_text(LapidaryFile& file) {
        LapidaryText out;
        LAP_ASSIGN(out.name, text());
        LAP_ASSIGN(out.offset, number<uint64_t>());
        LAP_ASSIGN(out.bytes, number<uint64_t>());
        LAP_ASSIGN(out.checksum, number<uint64_t>());
        LAP_TRY(take_place(out.offset, out.bytes, concat("text ", in_quotes(out.name))));
        file.texts.push_back(std::move(out));
        return {};
    }

    Result<void> read_tensor(LapidaryFile& file) {
        LapidaryTensor out;
        LAP_ASSIGN(out.name, text());
        LAP_ASSIGN(out.group, text());
        const std::string what = concat("tensor ", in_quotes(out.name));
        if (!names_.insert(out.group + '\n' + out.name).second) return bad(concat(what, " occurs twice"));
        LAP_TRY(read_kind(out, what));
        LAP_TRY(read_shape(out, what));
        LAP_ASSIGN(out.offset, number<uint64_t>());
        LAP_ASSIGN(out.bytes, number<uint64_t>());
        LAP_ASSIGN(out.checksum, number<uint64_t>());
        if (out.offset % kLapidaryAlignment != 0)
            return bad(concat(what, " begins at ", out.offset, ", not a multiple of ", kLapidaryAlignment));
        const uint64_t expected = out.bytes_as(out.format, out.layout);
        if (out.bytes != expected)
            return bad(concat(what, " of shape ", shape_text(out.shape), " in ", kernels::name(out.format),
                              " needs ", expected, " bytes, the file gives it ", out.bytes));
        LAP_TRY(take_place(out.offset, out.bytes, what));
        file.tensors.push_back(std::move(out));
        return {};
    }

    Result<void> read_kind(LapidaryTensor& out, const std::string& what) {
        LAP_ASSIGN(const uint32_t format, number<uint32_t>());
        LAP_ASSIGN(const uint32_t layout, number<uint32_t>());
        const auto known = gguf_format(format);
        if (!known)
            return Error{Errc::unsupported_model,
                         concat(what, " in ", in_quotes(path_), " has the type ",
                                in_quotes(gguf_foreign_type(format)), ", which this version does not know"),
                         "pack the model again with this version"};
        if (layout > static_cast<uint32_t>(Layout::panels))
            return Error{Errc::unsupported_model,
                         concat(what, " in ", in_quotes(path_), " has the layout ", layout,
                                "; this version knows 0 (rows) and 1 (panels)"),
                         "pack the model again with this version"};
        out.format = *known;
        out.layout = static_cast<Layout>(layout);
        return {};
    }

    Result<void> read_shape(LapidaryTensor& out, const std::string& what) {
        LAP_ASSIGN(const uint32_t rank, number<uint32_t>());
        if (rank > kMaxRank) return bad(concat(what, " has ", rank, " dimensions"));
        uint64_t values = 1;
        for (uint32_t i = 0; i < rank; i++) {
            LAP_ASSIGN(const uint64_t extent, number<uint64_t>());
            if (extent == 0 || extent > kMaxValues / values)
                return bad(concat(what, " has an impossible dimension of ", extent));
            values *= extent;
            out.shape.push_back(static_cast<int64_t>(extent));
        }
        if (out.cols() % kernels::block_values(out.format) != 0)
            return bad(concat(what, " has rows of ", out.cols(), " values in ", kernels::name(out.format)));
        if (out.layout == Layout::panels && !out.can_lie_in_panels(out.format))
            return bad(concat(what, " of shape ", shape_text(out.shape), " in ", kernels::name(out.format),
                              " cannot lie in panels"));
        return {};
    }

    std::string_view bytes_;
    uint64_t file_bytes_;
    const std::string& path_;
    size_t at_ = 0;
    uint64_t end_ = 0;  // of the piece before
    std::unordered_set<std::string> names_;
};

}  // namespace

uint64_t checksum_of(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string encode_header(const LapidaryHeader& header) {
    std::string out(kLapidaryMagic);
    put(out, kLapidaryVersion);
    put(out, uint32_t{0});
    put(out, header.directory_bytes);
    put(out, header.file_bytes);
    put(out, header.directory_checksum);
    put(out, checksum_of(out));
    return out;
}

std::string encode_directory(const LapidaryFile& file) {
    std::string out;
    for (const std::string* text : {&file.kind, &file.title, &file.writer}) put_short_text(out, *text);
    put(out, static_cast<uint32_t>(file.sources.size()));
    for (const LapidarySource& source : file.sources) {
        put_short_text(out, source.name);
        put(out, source.bytes);
        put(out, source.modified_s);
    }
    put(out, static_cast<uint32_t>(file.texts.size()));
    for (const LapidaryText& text : file.texts) {
        put_short_text(out, text.name);
        for (const uint64_t value : {text.offset, text.bytes, text.checksum}) put(out, value);
    }
    put(out, static_cast<uint32_t>(file.tensors.size()));
    for (const LapidaryTensor& tensor : file.tensors) {
        put_short_text(out, tensor.name);
        put_short_text(out, tensor.group);
        put(out, gguf_number(tensor.format));
        put(out, static_cast<uint32_t>(tensor.layout));
        put(out, static_cast<uint32_t>(tensor.shape.size()));
        for (const int64_t extent : tensor.shape) put(out, static_cast<uint64_t>(extent));
        for (const uint64_t value : {tensor.offset, tensor.bytes, tensor.checksum}) put(out, value);
    }
    return out;
}

Result<LapidaryHeader> decode_header(std::string_view bytes, const std::string& path) {
    const auto bad = [&](const std::string& what) {
        return Error{Errc::bad_model_file, concat(in_quotes(path), " is damaged: ", what), kPackAgain};
    };
    if (bytes.starts_with("GGUF"))
        return Error{Errc::bad_model_file, concat(in_quotes(path), " is a GGUF file, whatever its name says"),
                     "rename it to .gguf"};
    if (bytes.substr(0, kLapidaryMagic.size()) != kLapidaryMagic)
        return Error{Errc::bad_model_file, concat(in_quotes(path), " is not a .lapidary file"),
                     "make one with `lapidary pack`"};
    if (bytes.size() < kLapidaryHeaderBytes) return bad(concat("it has only ", bytes.size(), " bytes"));
    const auto read = [&](size_t at, auto value) {
        std::memcpy(&value, bytes.data() + at, sizeof value);
        return value;
    };
    const auto version = read(8, uint32_t{});
    if (version != kLapidaryVersion)
        return Error{Errc::unsupported_model,
                     concat(in_quotes(path), " is stale: it has version ", version,
                            " of the .lapidary format, this program reads version ", kLapidaryVersion),
                     "pack the model again with this program"};
    if (read(40, uint64_t{}) != checksum_of(bytes.substr(0, 40)))
        return bad("the checksum of its header is wrong");
    return LapidaryHeader{read(16, uint64_t{}), read(24, uint64_t{}), read(32, uint64_t{})};
}

Result<void> decode_directory(std::string_view bytes, uint64_t file_bytes, const std::string& path,
                              LapidaryFile& file) {
    return DirectoryReader(bytes, file_bytes, path).run(file);
}

}  // namespace lapidary::runtime
