// The bytes in front of a .lapidary file: a header of fixed size, then the directory. Private to
// lapidary_file.cpp and lapidary_writer.cpp, so that reader and writer share one description.
//
//   header: magic "LAPIDARY" | u32 version | u32 0 | u64 directory bytes | u64 file bytes |
//           u64 checksum of the directory | u64 checksum of the 40 bytes before
//   directory: text kind, title, writer
//              u32 count of sources:  text name | u64 bytes | i64 modified
//              u32 count of texts:    text name | u64 offset | u64 bytes | u64 checksum
//              u32 count of tensors:  text name, group | u32 format | u32 layout | u32 rank | u64
//              extents[rank]
//                                     | u64 offset | u64 bytes | u64 checksum
//   A text is u32 bytes, then UTF-8. Formats have GGUF's numbers; layouts: 0 rows, 1 panels.
//   Checksums: XXH3, 64 bits. Texts follow the directory, tensors begin at multiples of 64 KiB, in order.
#pragma once

#include <string>
#include <string_view>

#include "lapidary/result.h"
#include "runtime/file/lapidary_file.h"

namespace lapidary::runtime {

inline constexpr std::string_view kLapidaryMagic = "LAPIDARY";
inline constexpr size_t kLapidaryHeaderBytes = 48;

struct LapidaryHeader {
    uint64_t directory_bytes = 0, file_bytes = 0, directory_checksum = 0;
};
std::string encode_header(const LapidaryHeader& header);
std::string encode_directory(const LapidaryFile& file);

// `bytes`: the first kLapidaryHeaderBytes of the file, or fewer if it is shorter. `path` names it in errors.
Result<LapidaryHeader> decode_header(std::string_view bytes, const std::string& path);
// Fills kind, title, writer, sources, texts and tensors. Places are compared with `file_bytes`.
Result<void> decode_directory(std::string_view bytes, uint64_t file_bytes, const std::string& path,
                              LapidaryFile& file);

uint64_t checksum_of(std::string_view bytes);

}  // namespace lapidary::runtime
