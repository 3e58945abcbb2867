// Reads media files whole and recognises their type by signature.
#include "model/media/media_bytes.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::model {

namespace fs = std::filesystem;

namespace {

struct Signature {
    size_t offset;
    std::string_view bytes;
    std::string_view type;
};

using namespace std::string_view_literals;

// Order matters: a container's outer signature (RIFF, ftyp) is told apart by its inner one.
constexpr Signature kSignatures[] = {
    {0, "\x89PNG\r\n\x1a\n"sv, "PNG"},
    {0, "\xff\xd8\xff"sv, "JPEG"},
    {8, "WEBP"sv, "WebP"},
    {0, "GIF87a"sv, "GIF"},
    {0, "GIF89a"sv, "GIF"},
    {0, "II*\0"sv, "TIFF"},
    {0, "MM\0*"sv, "TIFF"},
    {0, "\0\0\0\x0cjP  "sv, "JPEG 2000"},
    {0, "\xff\x0a"sv, "JPEG XL"},
    {0, "\0\0\0\x0cJXL "sv, "JPEG XL"},
    {4, "ftypavif"sv, "AVIF"},
    {4, "ftypheic"sv, "HEIC"},
    {4, "ftypmif1"sv, "HEIF"},
    {4, "ftypM4A "sv, "MPEG-4 audio"},
    {4, "ftyp"sv, "MPEG-4 video"},
    {4, "moov"sv, "QuickTime video"},
    {4, "mdat"sv, "QuickTime video"},
    {4, "wide"sv, "QuickTime video"},
    {0, "\x1a\x45\xdf\xa3"sv, "Matroska or WebM video"},
    {8, "AVI "sv, "AVI video"},
    {0, "FLV\1"sv, "Flash video"},
    {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"sv, "Windows media"},
    {0, "\0\0\1\xba"sv, "MPEG video"},
    {8, "WAVE"sv, "WAV"},
    {0, "fLaC"sv, "FLAC"},
    {0, "OggS"sv, "Ogg"},
    {0, "ID3"sv, "an ID3 tag"},
    {0, "\xff\xfe"sv, "UTF-16 text"},
    {0, "\xfe\xff"sv, "UTF-16 text"},
    {0, "\0\5\x16\7"sv, "macOS metadata of another file (AppleDouble)"},
    {8, "AIFF"sv, "AIFF"},
    {8, "AIFC"sv, "AIFF"},
    {0, "caff"sv, "CAF"},
    {0, "#!AMR"sv, "AMR"},
    {0, "wvpk"sv, "WavPack"},
    {0, "\x0b\x77"sv, "AC-3"},
    {0, "%PDF"sv, "PDF"},
    {0, "PK\x03\x04"sv, "ZIP"},
    {0, "BM"sv, "BMP"},
};

// The header of an MPEG audio frame: 11 bits of ones, a version and a layer that exist, a rate that exists.
std::string_view mpeg_audio(std::span<const uint8_t> bytes) {
    if (bytes.size() < 4 || bytes[0] != 0xff || (bytes[1] & 0xe0) != 0xe0) return "";
    if ((bytes[1] & 0xf6) == 0xf0) return "AAC";
    const bool possible = (bytes[1] >> 3 & 3) != 1 && bytes[2] >> 4 != 15 && (bytes[2] >> 2 & 3) != 3;
    if (!possible) return "";
    constexpr std::string_view kLayers[] = {"", "MP3", "MPEG audio layer II", "MPEG audio layer I"};
    return kLayers[bytes[1] >> 1 & 3];
}

// Packets of 188 bytes, each with a sync byte in front.
bool is_transport_stream(std::span<const uint8_t> bytes) {
    constexpr size_t kPacket = 188, kPackets = 3;
    if (bytes.size() < kPacket * kPackets) return false;
    for (size_t i = 0; i < kPackets; ++i)
        if (bytes[i * kPacket] != 0x47) return false;
    return true;
}

bool matches(std::span<const uint8_t> bytes, const Signature& signature) {
    if (bytes.size() < signature.offset + signature.bytes.size()) return false;
    return std::memcmp(bytes.data() + signature.offset, signature.bytes.data(), signature.bytes.size()) == 0;
}

// Text holds no control characters but tab, line ends and form feed in its first kilobyte.
bool looks_like_text(std::span<const uint8_t> bytes) {
    const auto head = bytes.first(std::min<size_t>(bytes.size(), 1024));
    const auto is_text = [](uint8_t c) { return c >= 0x20 ? c != 0x7f : (c >= '\t' && c <= '\r'); };
    return !head.empty() && std::all_of(head.begin(), head.end(), is_text);
}

// A file that is read whole has a bearable size.
Result<uint64_t> checked_size(const fs::path& path) {
    LAP_ASSIGN(const uint64_t size_bytes, media_file_size(path));
    if (size_bytes > kMaxMediaFileBytes)
        return media_error(path.string(), concat("has ", size_bytes, " bytes, the limit is ", kMaxMediaFileBytes),
                           "pass a smaller picture or a shorter recording");
    return size_bytes;
}

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

Result<std::vector<uint8_t>> read_front(const fs::path& path, uint64_t count) {
    std::vector<uint8_t> bytes;
    try {
        bytes.resize(count);
    } catch (const std::bad_alloc&) {
        return Error{Errc::out_of_memory, concat(path.string(), ": no memory for its ", count, " bytes"),
                     "close other programs or pass a smaller file"};
    }
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
    const int open_errno = errno;
    if (!file)
        return Error{Errc::io_error, concat(path.string(), ": cannot be opened: ", std::strerror(open_errno)),
                     "check its permissions"};
    const size_t read_bytes = std::fread(bytes.data(), 1, bytes.size(), file.get());
    if (read_bytes != bytes.size())
        return Error{Errc::io_error, concat(path.string(), ": read ", read_bytes, " of ", bytes.size(), " bytes"),
                     "check the disk, or whether another program is writing the file"};
    return bytes;
}

}  // namespace

Error media_error(std::string_view name, std::string_view what, std::string_view hint) {
    return {Errc::media_unsupported, concat(name, ": ", what), std::string(hint)};
}

Result<uint64_t> media_file_size(const fs::path& path) {
    const std::string name = path.string();
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (status.type() == fs::file_type::not_found) return Error{Errc::not_found, name + ": no such file", "check the path"};
    if (code) return Error{Errc::io_error, concat(name, ": ", code.message()), "check the path and its permissions"};
    if (status.type() == fs::file_type::directory)
        return media_error(name, "is a directory", "name one picture or recording in it");
    if (status.type() != fs::file_type::regular)
        return media_error(name, "is not a regular file", "pass a regular file, or the bytes themselves");
    const uintmax_t size_bytes = fs::file_size(path, code);
    if (code) return Error{Errc::io_error, concat(name, ": ", code.message()), "check the path and its permissions"};
    if (size_bytes == 0) return media_error(name, "is empty (0 bytes)", "check how the file was written");
    return static_cast<uint64_t>(size_bytes);
}

std::string_view detect_media_type(std::span<const uint8_t> bytes) {
    for (const Signature& signature : kSignatures)
        if (matches(bytes, signature)) return signature.type;
    if (const std::string_view type = mpeg_audio(bytes); !type.empty()) return type;
    if (is_transport_stream(bytes)) return "MPEG video";
    return looks_like_text(bytes) ? "text" : "unknown data";
}

bool has_tracks(std::string_view type) {
    constexpr std::string_view kTypes[] = {"MPEG-4 video", "QuickTime video", "Matroska or WebM video", "AVI video", "Flash video",
                                           "Windows media", "MPEG video", "Ogg", "MPEG-4 audio", "AIFF", "CAF", "AMR", "WavPack",
                                           "AC-3", "AAC", "MPEG audio layer II", "MPEG audio layer I"};
    return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

Result<std::vector<uint8_t>> read_media_head(const fs::path& path, size_t limit_bytes, uint64_t* file_bytes) {
    LAP_ASSIGN(*file_bytes, checked_size(path));
    return read_front(path, std::min<uint64_t>(*file_bytes, limit_bytes));
}

Result<std::vector<uint8_t>> read_media_file(const fs::path& path) {
    LAP_ASSIGN(const uint64_t size_bytes, checked_size(path));
    return read_front(path, size_bytes);
}

}  // namespace lapidary::model
