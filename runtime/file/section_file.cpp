// One pass forwards, for writers and readers; see section_file.h.
#include "runtime/file/section_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::runtime {
namespace {

struct FirstBytes {
    std::array<char, 8> magic;
    uint32_t version = 0, reserved = 0;
    uint64_t file_bytes = 0, header_bytes = 0, header_checksum = 0;
};
static_assert(sizeof(FirstBytes) == 40);

constexpr uint64_t kMaxHeaderBytes = 64 << 20;

Error cannot_read(const std::filesystem::path& path, int reason) {
    return {reason == ENOENT ? Errc::not_found : Errc::io_error,
            concat("cannot read ", in_quotes(path.string()), ": ", std::strerror(reason)), "check the name and its permissions"};
}

}  // namespace

RunningChecksum::RunningChecksum() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    XXH3_64bits_reset(static_cast<XXH3_state_t*>(state_));
}
RunningChecksum::RunningChecksum(RunningChecksum&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
RunningChecksum::~RunningChecksum() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }
void RunningChecksum::add(const void* bytes, size_t count) { XXH3_64bits_update(static_cast<XXH3_state_t*>(state_), bytes, count); }
uint64_t RunningChecksum::take() {
    auto* state = static_cast<XXH3_state_t*>(state_);
    const uint64_t sum = XXH3_64bits_digest(state);
    XXH3_64bits_reset(state);
    return sum;
}

Result<SectionWriter> SectionWriter::create(const std::filesystem::path& target, const SectionFileKind& kind, std::string_view header,
                                            uint64_t section_bytes, size_t sections) {
    if (header.size() > kMaxHeaderBytes)
        return Error{Errc::invalid_argument, concat("a header of ", header.size(), " bytes is longer than ", kMaxHeaderBytes), "save less"};
    FirstBytes first{.magic = kind.magic, .version = kind.version};
    first.file_bytes = sizeof first + header.size() + section_bytes + sections * sizeof(uint64_t);
    first.header_bytes = header.size();
    first.header_checksum = XXH3_64bits(header.data(), header.size());
    LAP_TRY(require_room(target, first.file_bytes));
    LAP_ASSIGN(OutputFile file, OutputFile::create(target));
    LAP_TRY(file.write(&first, sizeof first));
    LAP_TRY(file.write(header.data(), header.size()));
    return SectionWriter(std::move(file), first.file_bytes);
}

Result<void> SectionWriter::write(const void* bytes, size_t count) {
    sum_.add(bytes, count);
    return file_.write(bytes, count);
}

Result<void> SectionWriter::end_section() {
    const uint64_t sum = sum_.take();
    return file_.write(&sum, sizeof sum);
}

Result<void> SectionWriter::finish() {
    if (file_.written() != file_bytes_)
        return Error{Errc::internal, concat(file_.written(), " bytes were written, ", file_bytes_, " were announced")};
    return file_.commit();
}

SectionReader::SectionReader(SectionReader&& other) noexcept
    : path_(std::move(other.path_)),
      kind_(other.kind_),
      fd_(std::exchange(other.fd_, -1)),
      file_bytes_(other.file_bytes_),
      at_(other.at_),
      header_(std::move(other.header_)),
      sum_(std::move(other.sum_)) {}

SectionReader::~SectionReader() {
    if (fd_ >= 0) ::close(fd_);
}

Error SectionReader::damaged(std::string_view what) const {
    return {Errc::bad_session_file, concat(in_quotes(path_.string()), " is damaged: ", what), "save it again, or begin anew"};
}

Result<SectionReader> SectionReader::open(const std::filesystem::path& path, const SectionFileKind& kind) {
    SectionReader reader(path, kind);
    reader.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not be waited for
    if (reader.fd_ < 0) return cannot_read(path, errno);
    LAP_TRY(reader.read_header());
    return reader;
}

Result<void> SectionReader::read_header() {
    struct stat facts = {};
    if (::fstat(fd_, &facts) != 0) return cannot_read(path_, errno);
    const auto foreign = [&] {
        return Error{Errc::bad_session_file, concat(in_quotes(path_.string()), " is not ", kind_.name), "name a file that this program saved"};
    };
    if (!S_ISREG(facts.st_mode)) return foreign();
    const auto there = static_cast<uint64_t>(facts.st_size);
    FirstBytes first = {};
    file_bytes_ = there;
    if (there < sizeof first.magic) return foreign();
    LAP_TRY(fetch(&first, static_cast<size_t>(std::min<uint64_t>(there, sizeof first))));
    if (first.magic != kind_.magic) return foreign();
    if (there >= sizeof first && first.version != kind_.version)
        return Error{Errc::bad_session_file,
                     concat(in_quotes(path_.string()), " has version ", first.version, " of the format of ", kind_.name, ", this program reads version ", kind_.version),
                     "use the version of the program that saved it"};
    if (there >= sizeof first && first.reserved != 0) return damaged("bytes of its beginning that are 0 are not");
    if (there < sizeof first || first.file_bytes != there)
        return damaged(there < sizeof first ? concat("it ends behind ", there, " bytes")
                                            : concat("it has ", there, " bytes and should have ", first.file_bytes));
    if (first.header_bytes > left() || first.header_bytes > kMaxHeaderBytes)
        return damaged(concat("a header of ", first.header_bytes, " bytes cannot be in it"));
    header_.resize(static_cast<size_t>(first.header_bytes));
    LAP_TRY(fetch(header_.data(), header_.size()));
    if (XXH3_64bits(header_.data(), header_.size()) != first.header_checksum) return damaged("its header is not what was written");
    return {};
}

Result<void> SectionReader::fetch(void* bytes, size_t count) {
    if (count > left()) return damaged(concat(count, " bytes are wanted at byte ", at_, " of ", file_bytes_));
    auto* to = static_cast<char*>(bytes);
    while (count > 0) {
        const ssize_t got = ::pread(fd_, to, count, static_cast<off_t>(at_));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cannot_read(path_, errno);
        if (got == 0) return damaged(concat("it became shorter while it was read, at byte ", at_));
        to += got;
        at_ += static_cast<uint64_t>(got);
        count -= static_cast<size_t>(got);
    }
    return {};
}

Result<void> SectionReader::read(void* bytes, size_t count) {
    LAP_TRY(fetch(bytes, count));
    sum_.add(bytes, count);
    return {};
}

Result<void> SectionReader::end_section() {
    const uint64_t sum = sum_.take();
    uint64_t want = 0;
    const uint64_t begin = at_;
    LAP_TRY(fetch(&want, sizeof want));
    if (sum != want) return damaged(concat("what ends at byte ", begin, " is not what was written"));
    return {};
}

}  // namespace lapidary::runtime
