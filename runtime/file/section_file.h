// A file of sections behind a header, all with checksums (XXH3, 64 bits): written in one go to a temporary file that is then
// renamed, read in one go, and nothing of it is handed out that was not compared. What is written into it is for its owner to know
// (model/session_file.cpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lapidary/result.h"
#include "runtime/file/output_file.h"

namespace lapidary::runtime {

// What stands in front of the header. version: of what the header and the sections say.
struct SectionFileKind {
    std::array<char, 8> magic;
    uint32_t version = 0;
    std::string_view name;  // "a saved session": for errors
};

class RunningChecksum {
  public:
    RunningChecksum();
    ~RunningChecksum();
    RunningChecksum(RunningChecksum&& other) noexcept;
    RunningChecksum& operator=(RunningChecksum&&) = delete;
    void add(const void* bytes, size_t count);
    uint64_t take();  // of what was added since the last one was taken

  private:
    void* state_;
};

class SectionWriter {
  public:
    // `section_bytes`: of all sections together, `sections` how many. io_error where the disk has no room for them.
    static Result<SectionWriter> create(const std::filesystem::path& target, const SectionFileKind& kind, std::string_view header,
                                        uint64_t section_bytes, size_t sections);
    Result<void> write(const void* bytes, size_t count);
    Result<void> end_section();
    Result<void> finish();  // the file is there

  private:
    SectionWriter(OutputFile file, uint64_t file_bytes) : file_(std::move(file)), file_bytes_(file_bytes) {}
    OutputFile file_;
    uint64_t file_bytes_;
    RunningChecksum sum_;
};

class SectionReader {
  public:
    // not_found, io_error, or bad_session_file: another kind of file or version, another length than it should have, or a damaged header.
    static Result<SectionReader> open(const std::filesystem::path& path, const SectionFileKind& kind);
    SectionReader(SectionReader&& other) noexcept;
    SectionReader& operator=(SectionReader&&) = delete;
    ~SectionReader();

    const std::string& header() const { return header_; }
    uint64_t left() const { return file_bytes_ - at_; }  // bytes, checksums included
    Result<void> read(void* bytes, size_t count);
    Result<void> end_section();  // bad_session_file where it is not what was written
    Error damaged(std::string_view what) const;  // bad_session_file, with the file's name

  private:
    SectionReader(std::filesystem::path path, const SectionFileKind& kind) : path_(std::move(path)), kind_(kind) {}
    Result<void> read_header();
    Result<void> fetch(void* bytes, size_t count);

    std::filesystem::path path_;
    SectionFileKind kind_;
    int fd_ = -1;
    uint64_t file_bytes_ = 0, at_ = 0;
    std::string header_;
    RunningChecksum sum_;
};

}  // namespace lapidary::runtime
