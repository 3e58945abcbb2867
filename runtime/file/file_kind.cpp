// Told by the first bytes, as `file` does it; see file_kind.h.
#include "runtime/file/file_kind.h"

#include <algorithm>
#include <cctype>

#include "base/describe.h"

namespace lapidary::runtime {
namespace {

using namespace std::string_view_literals;

constexpr const char* kGive = "give a GGUF or .lapidary file, or a Hugging Face folder";
constexpr const char* kConvert = "convert it to GGUF, or give the Hugging Face folder it belongs to";
constexpr const char* kFetch = "it was not copied or fetched to its end: fetch it again";
constexpr const char* kConvertOld = "fetch or convert the model in today's format, GGUF";

struct Kind {
    std::string_view begins;
    const char* what;
    const char* hint;
};
// Magic numbers as their formats define them.
constexpr Kind kKinds[] = {
    {"version https://git-lfs"sv, "is a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"},
    {"<!doctype html"sv, "is a web page, not the file that was meant", "fetch the file itself, not the page about it"},
    {"<html"sv, "is a web page, not the file that was meant", "fetch the file itself, not the page about it"},
    {"lmgg"sv, "is a GGML file, from before GGUF", kConvertOld},
    {"fmgg"sv, "is a GGMF file, from before GGUF", kConvertOld},
    {"tjgg"sv, "is a GGJT file, from before GGUF", kConvertOld},
    {"algg"sv, "is a GGLA file, an adapter from before GGUF", kConvertOld},
    {"pk\3\4"sv, "is a zip archive (PyTorch weights are such)", kConvert},
    {"\x80\2"sv, "is a Python pickle (old PyTorch weights are such)", kConvert},
    {"\x1f\x8b"sv, "is packed with gzip", "unpack it first"},
    {"(\xb5/\xfd"sv, "is packed with zstd", "unpack it first"},
    {"\xfd""7zxz\0"sv, "is packed with xz", "unpack it first"},
    {"\0\5\x16\7"sv, "is what macOS keeps about another file (AppleDouble)", "give the file without ._ in front"},
    {"\x89png"sv, "is a picture", "give pictures as parts of a prompt"},
    {"\xff\xd8\xff"sv, "is a picture", "give pictures as parts of a prompt"},
    {"riff"sv, "is a recording", "give recordings as parts of a prompt"},
    {"flac"sv, "is a recording", "give recordings as parts of a prompt"},
    {"oggs"sv, "is a recording", "give recordings as parts of a prompt"},
};

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

// Eight bytes of a length that fits, then JSON.
bool is_safetensors(std::string_view file) {
    if (file.size() < 10 || file[8] != '{') return false;
    uint64_t length = 0;
    for (size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(file[i]);
    return length >= 2 && length <= file.size() - 8;
}

}  // namespace

std::optional<Error> other_kind(std::string_view file, const std::string& path) {
    const auto error = [&](const char* what, const char* hint) {
        return Error{Errc::bad_model_file, concat(in_quotes(path), " ", what), hint};
    };
    constexpr size_t kLongest = 32, kFewZeros = 64, kZeros = 4096;
    if (file.empty()) return error("is empty", kFetch);
    const std::string begin = lower(file.substr(0, kLongest));
    for (const Kind& kind : kKinds)
        if (begin.starts_with(kind.begins)) return error(kind.what, kind.hint);
    const std::string_view front = file.substr(0, kZeros);
    if (front.size() >= kFewZeros && std::all_of(front.begin(), front.end(), [](char c) { return c == 0; }))
        return error("begins with nothing but zeros", kFetch);
    return std::nullopt;
}

Error not_gguf(std::string_view file, const std::string& path) {
    if (const auto other = other_kind(file, path)) return *other;
    if (is_safetensors(file))
        return {Errc::bad_model_file, concat(in_quotes(path), " is one safetensors file of a Hugging Face folder"),
                "give the folder that holds it"};
    if (std::string_view("GGUF").starts_with(file))
        return {Errc::bad_model_file, concat(in_quotes(path), " is damaged: it ends inside the magic number"), kFetch};
    return {Errc::bad_model_file, concat(in_quotes(path), " is not a GGUF file"), kGive};
}

}  // namespace lapidary::runtime
