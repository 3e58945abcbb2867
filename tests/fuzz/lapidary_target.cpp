// A .lapidary file. The input is its head (header, directory, texts); the tensors behind it are a hole of
// zeros as long as the header says, up to 8 MiB, so that inputs stay small.
#include <algorithm>
#include <cstring>
#include <vector>

#include "lapidary/tools.h"
#include "runtime/file/lapidary_directory.h"
#include "runtime/memory/host_access.h"
#include "tests/fuzz/model_check.h"
#include "tests/fuzz/seed_models.h"
#include "tests/support/small_model.h"

namespace lapidary::fuzz {
namespace {

using runtime::LapidaryFile;

constexpr uint64_t kMostBytes = 8 << 20;
constexpr size_t kHeader = runtime::kLapidaryHeaderBytes;

uint64_t number_at(std::string_view head, size_t at) {
    uint64_t value = 0;
    if (head.size() >= at + sizeof value) std::memcpy(&value, head.data() + at, sizeof value);
    return value;
}

// The header's own fields: u64 directory bytes at 16, u64 file bytes at 24.
uint64_t directory_bytes(std::string_view head) { return number_at(head, 16); }
uint64_t file_bytes(std::string_view head) {
    const uint64_t claimed = number_at(head, 24);
    return claimed <= kMostBytes ? std::max<uint64_t>(claimed, head.size()) : head.size();
}

// Zeros alone stand behind the directory where neither a text nor a tensor lies. Seen byte by byte.
bool padding_is_zero(const LapidaryFile& file) {
    std::vector<bool> covered(file.buffer->bytes);
    const auto cover = [&covered](uint64_t offset, uint64_t bytes) {
        for (uint64_t i = 0; i < bytes; ++i) covered[offset + i] = true;
    };
    cover(0, file.directory_end);
    for (const auto& text : file.texts) cover(text.offset, text.bytes);
    for (const auto& tensor : file.tensors) cover(tensor.offset, tensor.bytes);
    for (size_t i = 0; i < covered.size(); ++i)
        if (!covered[i] && host_bytes(*file.buffer)[i] != std::byte{0}) return false;
    return true;
}

// A file that opens is verified exactly when each tensor has its checksum, and nothing lies between them.
void check_checksums(const LapidaryFile& file) {
    bool all = true;
    for (const auto& tensor : file.tensors) {
        promise(tensor.offset <= file.buffer->bytes && tensor.bytes <= file.buffer->bytes - tensor.offset,
                "a tensor lies outside the file");
        const std::string_view bytes(reinterpret_cast<const char*>(host_bytes(*file.buffer) + tensor.offset),
                                     tensor.bytes);
        all = all && runtime::checksum_of(bytes) == tensor.checksum;
    }
    promise(runtime::verify_lapidary(file).has_value() == (all && padding_is_zero(file)), "verify and the checksums disagree");
}

void one(Bytes bytes) {
    static const test::ScratchFolder folder;
    const auto path = folder.write("input.lapidary", text_of(bytes));
    std::filesystem::resize_file(path, file_bytes(text_of(bytes)));
    const auto file = runtime::open_lapidary(path);
    if (file)
        check_checksums(*file);
    else
        check_error(file.error());
    load_and_check({.model = path}, hash_of(bytes) % 4 == 0);
}

std::string zero_tail(std::string_view head, uint64_t offset, uint64_t bytes) {
    std::string out(head.substr(std::min<uint64_t>(offset, head.size())).substr(0, bytes));
    out.resize(bytes);
    return out;
}

// Directory and header with the checksums that they should have.
std::string mend(std::string head) {
    if (head.size() < kHeader) head.resize(kHeader);
    const size_t limit = head.size() - kHeader;
    const auto length = static_cast<size_t>(std::min<uint64_t>(directory_bytes(head), limit));
    std::string directory = head.substr(kHeader, length);
    LapidaryFile file;
    if (runtime::decode_directory(directory, file_bytes(head), "input", file)) {
        for (auto& text : file.texts)
            text.checksum = runtime::checksum_of(zero_tail(head, text.offset, text.bytes));
        for (auto& tensor : file.tensors)
            tensor.checksum = runtime::checksum_of(zero_tail(head, tensor.offset, tensor.bytes));
        directory = runtime::encode_directory(file);
        head.replace(kHeader, std::min(directory.size(), limit), directory);
    }
    const std::string header =
        runtime::encode_header({directory.size(), file_bytes(head), runtime::checksum_of(directory)});
    return head.replace(0, kHeader, header);
}

std::string packed_head(const std::filesystem::path& model, const std::filesystem::path& mmproj = {}) {
    const test::ScratchFolder folder;
    PackOptions options;
    options.model = model;
    options.mmproj = mmproj;
    options.out = folder.path() / "out.lapidary";
    options.threads = 1;
    options.cpu_level = "ref";
    const auto report = pack(options);
    promise(report.has_value(), "a seed cannot be packed" + (report ? "" : ": " + report.error().message));
    std::string head = test::read_file(options.out).substr(0, runtime::kLapidaryAlignment);
    head.resize(head.find_last_not_of('\0') + 1);
    const std::string bytes = test::bytes_of<uint64_t>(std::filesystem::file_size(options.out));
    return mend(head.replace(24, bytes.size(), bytes));
}

std::vector<std::string> seeds() {
    const test::ScratchFolder folder, huggingface;
    test::write_small_folder(huggingface);
    huggingface.write("tokenizer.json", small_tokenizer());
    const auto small = folder.write("small.gguf", test::small_gguf().build());
    const auto projector = folder.write("projector.gguf", test::small_projector().build());
    const auto q4 = folder.write("q4_0.gguf", gguf_of_type(2).build());
    return {packed_head(huggingface.path()), packed_head(small, projector), packed_head(q4)};
}

std::vector<std::string> words() {
    std::vector<std::string> out = {"LAPIDARY", "gguf", "hf", "mmproj", "config.json", "tokenizer.json"};
    for (const uint64_t number :
         {0ull, 1ull, 65536ull, 131072ull, 0xffffffffull, 1ull << 40, 1ull << 63, ~0ull})
        out.push_back(test::bytes_of(number));
    return out;
}

}  // namespace

const Target kLapidary = {
    .name = "lapidary", .max_bytes = 96 << 10, .one = one, .seeds = seeds, .words = words, .mend = mend};

}  // namespace lapidary::fuzz
